package tidemill.flink.sink;

import java.io.IOException;
import java.io.Serializable;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tidemill.flink.kinesis.KinesisException;
import tidemill.flink.kinesis.Opening;
import tidemill.flink.kinesis.StreamApi;

/** A stream of Kinesis as a sink: at least once, in the order of each key. README.md says what it guarantees. */
public final class KinesisSink<T> implements Sink<T> {
    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(KinesisSink.class);

    /**
     * The settings.
     *
     * @param callRecords most records of a PutRecords call
     * @param lingerMillis how long a request may wait for others of its lane
     * @param mostRequests requests that wait, at most
     * @param mostBytes bytes that wait, at most
     * @param failsOnUnwritable whether a row that the contract does not allow fails the job; otherwise it is counted
     *     and passed over
     */
    public record Settings(
            int callRecords, long lingerMillis, long mostRequests, long mostBytes, boolean failsOnUnwritable)
            implements Serializable {}

    private final Opening opening;
    private final Settings settings;
    private final RequestEncoder<T> encoder;

    public KinesisSink(Opening opening, Settings settings, RequestEncoder<T> encoder) {
        this.opening = opening;
        this.settings = settings;
        this.encoder = encoder;
    }

    @Override
    public SinkWriter<T> createWriter(WriterInitContext context) throws IOException {
        try {
            encoder.open(context.asSerializationSchemaInitializationContext());
        } catch (Exception error) {
            throw new IOException("the sink's format cannot be opened", error);
        }
        StreamApi stream = opening.open();
        check(stream);
        Outbox outbox =
                new Outbox(
                        settings.callRecords(),
                        settings.lingerMillis(),
                        () -> ThreadLocalRandom.current().nextDouble());
        Sending sending = new Sending(stream, outbox, settings.mostRequests(), settings.mostBytes());
        sending.start(new PutMetrics(context.metricGroup(), sending::waiting));
        return new LaneWriter<>(
                encoder,
                sending,
                settings.failsOnUnwritable(),
                context.metricGroup().getNumRecordsSendErrorsCounter());
    }

    /**
     * A first answer tells the service's time, which a mark of the first record needs (docs/contract.md), and whether
     * the stream can be written to in order. Without the right to ask, or an answer, the sink begins without both.
     */
    static void check(StreamApi stream) throws IOException {
        String problem = null;
        try {
            if (!stream.isOrdered()) {
                problem = "distributes records as it likes, so no order can be kept: "
                        + "call UpdateStreamRecordDistributionStrategy with USER_PARTITION_KEY";
            }
        } catch (KinesisException error) {
            if (error.refusal().isGone()) {
                problem = "is not there: " + error.getMessage();
            } else if (error.refusal().isWithoutCredentials()) {
                problem = "cannot be written to: " + error.getMessage();
            }
            LOG.warn("The sink's stream cannot be looked at", error);
        }
        if (problem != null) {
            stream.close();
            throw new IOException("the sink's stream ('stream.arn') " + problem);
        }
    }
}
