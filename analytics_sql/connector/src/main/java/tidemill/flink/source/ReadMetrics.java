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
    private final Map<String, Long> behind = new ConcurrentHashMap<>();

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

    void behind(String shard, long millis) {
        if (behind.put(shard, millis) == null) {
            group.addGroup("shard", shard).gauge("millisBehindLatest", (Gauge<Long>) () -> behind.getOrDefault(shard, 0L));
        }
    }

    void released(String shard) {
        behind.remove(shard);
    }

    private long furthest() {
        return behind.values().stream().mapToLong(one -> one).max().orElse(0);
    }
}
