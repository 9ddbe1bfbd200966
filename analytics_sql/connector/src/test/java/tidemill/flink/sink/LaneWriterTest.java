package tidemill.flink.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tidemill.flink.contract.Aggregates;
import tidemill.flink.contract.UserRecord;
import tidemill.flink.kinesis.MadeStream;

class LaneWriterTest {
    private static final List<UserRecord> BAD =
            List.of(
                    new UserRecord(null, new byte[] {1}, null),
                    new UserRecord("", new byte[] {1}, null),
                    new UserRecord("k".repeat(257), new byte[] {1}, null),
                    new UserRecord("k", null, null),
                    new UserRecord("k", new byte[256 * 1024 + 1], null),
                    new UserRecord("k", MadeStream.packed("inner"), null));

    private final MadeStream stream = new MadeStream();
    private final Sending sending = new Sending(stream, new Outbox(500, 5, () -> 0.0), 100, 1_000_000);
    private final Counter unwritable = new SimpleCounter();

    private static final class AsTheyAre implements RequestEncoder<UserRecord> {
        private static final long serialVersionUID = 1L;

        @Override
        public void open(SerializationSchema.InitializationContext context) {}

        @Override
        public String keyOf(UserRecord row) {
            return row.key();
        }

        @Override
        public byte[] bytesOf(UserRecord row) {
            return row.data();
        }
    }

    private LaneWriter<UserRecord> writer(boolean fails) {
        sending.start(new PutMetrics(UnregisteredMetricsGroup.createSinkWriterMetricGroup(), sending::waiting));
        return new LaneWriter<>(new AsTheyAre(), sending, fails, unwritable);
    }

    @AfterEach
    void close() throws InterruptedException {
        sending.close();
    }

    @Test
    void rowsThatTheContractDoesNotAllowArePassedOverAndCounted() throws Exception {
        LaneWriter<UserRecord> writer = writer(false);
        for (UserRecord row : BAD) {
            writer.write(row, null);
        }
        writer.write(new UserRecord("\uD83D\uDDDD".repeat(256), new byte[256 * 1024], null), null);
        writer.flush(false);
        assertEquals(BAD.size(), unwritable.getCount());
        assertEquals(1, stream.stored.size());
        assertEquals(1, Aggregates.unpack(stream.stored.get(0).data()).size());
    }

    @Test
    void orTheyFailTheJobWhichNamesTheOption() {
        LaneWriter<UserRecord> writer = writer(true);
        for (UserRecord row : BAD) {
            String told = assertThrows(IOException.class, () -> writer.write(row, null)).getMessage();
            assertTrue(told.contains("sink.on-unwritable"), told);
        }
    }
}
