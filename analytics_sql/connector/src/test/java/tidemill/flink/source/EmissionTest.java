package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.SimpleCounter;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.Position;

class EmissionTest {
    private final List<String> out = new ArrayList<>();
    private final List<String> drained = new ArrayList<>();
    private final Counter unreadable = new SimpleCounter();
    private final Counter elements = new SimpleCounter();
    private final ShardState<String> state =
            new ShardState<>(
                    new ShardSplit("s", Position.HORIZON), new ArrivalWatermarks<String>(1000).create(null));

    private final SourceOutput<String> output =
            new SourceOutput<>() {
                @Override
                public void emitWatermark(Watermark watermark) {
                    out.add("watermark " + watermark.getTimestamp());
                }

                @Override
                public void markIdle() {
                    out.add("idle");
                }

                @Override
                public void markActive() {}

                @Override
                public void collect(String row) {
                    throw new IllegalStateException("a row without its time");
                }

                @Override
                public void collect(String row, long timestamp) {
                    out.add(row + "@" + timestamp);
                }
            };

    /** Texts as rows; "bad" cannot be read, and of "nothing" comes none. */
    private static final class Texts implements RecordDecoder<String> {
        private static final long serialVersionUID = 1L;

        @Override
        public void open(DeserializationSchema.InitializationContext context) {}

        @Override
        public void decode(Element.Arrival record, List<String> rows) throws IOException {
            String text = new String(record.data());
            rows.add(text);
            if (text.equals("bad")) {
                throw new IOException("no JSON");
            }
            if (text.equals("nothing")) {
                rows.clear();
            }
        }

        @Override
        public TypeInformation<String> getProducedType() {
            return Types.STRING;
        }
    }

    private Emission<String> emission(boolean fails) {
        return new Emission<>(new Texts(), fails, unreadable, elements, drained::add);
    }

    private static Element.Arrival arrival(String sequence, String text) {
        return new Element.Arrival("s", 5_000, sequence, 0, true, "k", "k", text.getBytes());
    }

    private void emit(Emission<String> emission, Element... all) throws IOException {
        for (Element one : all) {
            elements.inc();
            emission.emitRecord(one, output, state);
        }
    }

    @Test
    void rowsHaveTheirArrivalAndPausesRaiseTheWatermark() throws IOException {
        emit(emission(false), arrival("1", "a"), new Element.Pause(0), new Element.Pause(9_000));
        assertEquals(List.of("a@5000", "watermark 3999", "watermark 7999"), out);
        assertEquals(1, elements.getCount());
    }

    @Test
    void whatCannotBeReadIsCountedAndPassedOver() throws IOException {
        Element corrupt = new Element.Unreadable("s", "4", "corrupt");
        emit(emission(false), arrival("1", "bad"), arrival("2", "nothing"), arrival("3", "a"), corrupt);
        assertEquals(List.of("a@5000"), out);
        assertEquals(3, unreadable.getCount());
        assertEquals(Position.after("4"), state.split().position());
    }

    @Test
    void whatCannotBeReadFailsTheJobIfSoConfigured() {
        Emission<String> strict = emission(true);
        IOException error = assertThrows(IOException.class, () -> emit(strict, arrival("17", "bad")));
        assertTrue(error.getMessage().contains("record 17/0") && error.getMessage().contains("no JSON"), error.getMessage());
        assertEquals(Position.HORIZON, state.split().position()); // it is read again after the restart
    }

    @Test
    void aDrainedShardIsTold() throws IOException {
        emit(emission(false), new Element.End(), new Element.Release());
        assertEquals(List.of("s"), drained);
        assertEquals(Position.END, state.split().position());
        assertEquals(List.of("idle"), out);
    }
}
