package tidemill.flink.source;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import tidemill.flink.kinesis.Refusal;

/** A reader's metrics; README.md says what each means. */
final class ReadMetrics {
    private final MetricGroup group;
    private final Counter throttled;
    private final Counter expired;
    private final Counter failed;
    final Counter unreadable;

    /** Shard -> since when it is behind, in milliseconds of the reading thread's clock. */
    private final Map<String, Long> since = new ConcurrentHashMap<>();

    ReadMetrics(MetricGroup group) {
        this.group = group;
        throttled = group.counter("throttledReads");
        expired = group.counter("expiredIterators");
        failed = group.counter("failedReads");
        unreadable = group.counter("unreadableRecords");
        group.gauge("millisBehindLatest", (Gauge<Long>) this::furthest);
    }

    void refused(Refusal refusal) {
        if (refusal.isThrottling()) {
            throttled.inc();
        } else if (refusal.isExpiredIterator()) {
            expired.inc();
        } else {
            failed.inc();
        }
    }

    /**
     * Takes note of an answer. A shard that is not answered any more falls behind from then on.
     *
     * @param millisBehind how far it is behind the shard's tip
     * @param at when, by the clock of {@link #now}
     */
    void answered(String shard, long millisBehind, long at) {
        if (since.put(shard, at - millisBehind) == null) {
            group.addGroup("shard", shard).gauge("millisBehindLatest", (Gauge<Long>) () -> behind(since.get(shard)));
        }
    }

    void released(String shard) {
        since.remove(shard);
    }

    /** Milliseconds of a steady clock. */
    static long now() {
        return System.nanoTime() / 1_000_000;
    }

    private long furthest() {
        return since.values().stream().mapToLong(ReadMetrics::behind).max().orElse(0);
    }

    private static long behind(Long since) {
        return since == null ? 0 : Math.max(0, now() - since);
    }
}
