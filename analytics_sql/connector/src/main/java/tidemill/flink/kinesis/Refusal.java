package tidemill.flink.kinesis;

import java.util.Set;

/**
 * Why a call, or an entry of it, was not done. The rules are those of producers/tidemill/sending/answers.py.
 *
 * @param code the service's error code, or the name of what was thrown
 * @param message the error's message
 * @param again whether the same may succeed later
 * @param lost whether no answer arrived that can be read, so that the record may be stored
 */
public record Refusal(String code, String message, boolean again, boolean lost) {
    private static final Set<String> THROTTLED =
            Set.of(
                    "ProvisionedThroughputExceededException",
                    "KMSThrottlingException",
                    "ThrottlingException",
                    "Throttling");
    private static final Set<String> AGAIN =
            Set.of(
                    "InternalFailure",
                    "InternalServerError",
                    "InternalFailureException",
                    "LimitExceededException",
                    "RequestTimeout",
                    "RequestTimeoutException",
                    "ServiceUnavailable");

    /** Credentials that have run out, or that are not there yet: the machine's provider gets others. */
    private static final Set<String> CREDENTIALS = Set.of("ExpiredTokenException", "ExpiredToken");

    private static final String NO_CREDENTIALS = "NoCredentials";

    /** The refusal of one entry, by its error code. */
    public static Refusal ofEntry(String code, String message) {
        boolean throttled = THROTTLED.contains(code);
        boolean again = throttled || AGAIN.contains(code);
        return new Refusal(code, message, again, again && !throttled);
    }

    /** The refusal of a whole call, by the service's error code and HTTP status. */
    public static Refusal ofCall(String code, String message, int status) {
        if (code == null || code.isEmpty()) {
            return unreadable("status " + status + ", and no error of Kinesis: " + message);
        }
        boolean throttled = THROTTLED.contains(code);
        boolean lost = status >= 500 || status == 408 || (AGAIN.contains(code) && !throttled);
        boolean again = lost || status == 429 || throttled || AGAIN.contains(code) || CREDENTIALS.contains(code);
        return new Refusal(code, message, again, lost);
    }

    /** The call was not made, for there are no credentials (yet: a role's may come). */
    public static Refusal withoutCredentials(String problem) {
        return new Refusal(NO_CREDENTIALS, problem, true, false);
    }

    /** No answer, or one that cannot be read: what was put may be stored. */
    public static Refusal unreadable(String problem) {
        return new Refusal("MalformedResponse", problem, true, true);
    }

    public boolean isThrottling() {
        return THROTTLED.contains(code);
    }

    public boolean isWithoutCredentials() {
        return code.equals(NO_CREDENTIALS);
    }

    /** Whether the iterator has to be got anew. */
    public boolean isExpiredIterator() {
        return code.equals("ExpiredIteratorException");
    }

    /** Whether the shard, or the stream, is not there (any more). */
    public boolean isGone() {
        return code.equals("ResourceNotFoundException");
    }

    @Override
    public String toString() {
        return code + ": " + message;
    }
}
