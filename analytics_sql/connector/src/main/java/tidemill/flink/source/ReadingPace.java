package tidemill.flink.source;

import java.io.Serializable;

/**
 * When a shard is read again. No I/O; times are in milliseconds of one clock.
 *
 * <p>A shard takes five reads a second from all its readers together, and answers 2 MB a second:
 * https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
 *
 * @param millis between reads at the tip
 * @param behindMillis between reads of a shard that is behind its tip
 */
public record ReadingPace(long millis, long behindMillis) implements Serializable {
    /** Five reads a second. */
    public static final long LEAST_MILLIS = 200;

    private static final long FIRST_BACKOFF = 500;
    private static final long LONGEST_BACKOFF = 10_000;

    /** When to read after an answer to a read that began at {@code begun}. */
    long afterAnswer(long begun, boolean isBehind) {
        return begun + (isBehind ? behindMillis : millis);
    }

    /**
     * When to read after so many failures in a row.
     *
     * @param chance a random number from 0 to 1, so that readers that failed together do not come back together
     */
    long afterFailure(long now, int failures, double chance) {
        long backoff = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF << Math.min(failures - 1, 10));
        return now + Math.max(LEAST_MILLIS, (long) (backoff * (0.5 + chance / 2)));
    }
}
