package tidemill.flink.sink;

import java.util.function.LongSupplier;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import tidemill.flink.kinesis.Refusal;

/** A writer's metrics; README.md says what each means. Only the writer's sending thread counts. */
final class PutMetrics {
    private final Counter refused;
    private final Counter lost;
    private final Counter records;
    private final Counter requests;

    PutMetrics(SinkWriterMetricGroup group, LongSupplier waiting) {
        refused = group.counter("refusedPuts");
        lost = group.counter("lostPuts");
        records = group.counter("putRecords");
        requests = group.getNumRecordsSendCounter();
        group.gauge("waitingRequests", (Gauge<Long>) waiting::getAsLong);
    }

    void stored(int count) {
        records.inc();
        requests.inc(count);
    }

    void failed(Refusal refusal) {
        (refusal.lost() ? lost : refused).inc();
    }
}
