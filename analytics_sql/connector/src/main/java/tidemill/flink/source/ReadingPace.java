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
 * @param bytesPerSecond how many bytes of a shard are read a second, over time: after a large answer Kinesis refuses
 *     everybody's reads until the shard's two MiB a second have caught up with it
 */
public record ReadingPace(long millis, long behindMillis, long bytesPerSecond) implements Serializable {
    /** Five reads a second. */
    public static final long LEAST_MILLIS = 200;

    private static final long FIRST_BACKOFF = 500;
    private static final long LONGEST_BACKOFF = 10_000;

    /** When to read after an answer of so many bytes to a read that began at {@code begun}. */
    long afterAnswer(long begun, boolean isBehind, long bytes) {
        return begun + Math.max(isBehind ? behindMillis : millis, bytes * 1000 / bytesPerSecond);
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
