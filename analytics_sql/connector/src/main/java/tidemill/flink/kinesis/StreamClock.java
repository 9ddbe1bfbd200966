package tidemill.flink.kinesis;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;

/**
 * The service's time, by the headers {@code Date} of its answers. No I/O; the monotonic time is an argument. For
 * several threads.
 *
 * <p>The rule is docs/contract.md's, "Putting a request again": the last answer's date less a second, and the time that
 * has passed since by a monotonic clock, less a thousandth of it.
 */
public final class StreamClock {
    private static final long SECOND = 1000;

    private long date;
    private long heardAtNanos;

    /** Takes note of an answer's date, in milliseconds since 1970; 0 if it had none. */
    public synchronized void heard(long millis, long nanos) {
        if (millis > 0) {
            date = millis;
            heardAtNanos = nanos;
        }
    }

    /** A time that is certainly not after the present, in milliseconds since 1970; 0 before the first answer. */
    public synchronized long certainlyPast(long nanos) {
        if (date == 0) {
            return 0;
        }
        long passed = (nanos - heardAtNanos) / 1_000_000;
        return date - SECOND + passed - passed / 1000;
    }

    /** The milliseconds since 1970 in a header {@code Date}; 0 if it is none. */
    public static long millisOf(String header) {
        try {
            return ZonedDateTime.parse(header, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant().toEpochMilli();
        } catch (DateTimeParseException error) {
            return 0;
        }
    }
}
