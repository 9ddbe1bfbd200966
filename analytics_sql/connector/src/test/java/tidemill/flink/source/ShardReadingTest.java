package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsAddition;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.kinesis.Position;

class ShardReadingTest {
    private final MadeStream stream = new MadeStream().shard("s");
    private final Signal signal = new Signal();
    private final ReadMetrics metrics = new ReadMetrics(new UnregisteredMetricsGroup());
    private ReadingPace pace = new ReadingPace(1, 1, Long.MAX_VALUE);
    private ReadLimits limits = new ReadLimits(10, 1000, 1_000_000, false);

    private ShardReading reading(Position start) {
        ShardReading reading = new ShardReading(stream, pace, limits, metrics, signal);
        reading.handleSplitsChanges(new SplitsAddition<>(List.of(new ShardSplit("s", start))));
        return reading;
    }

    /** The elements of so many fetches that gave any. */
    private static List<String> fetched(ShardReading reading, int count) throws IOException {
        List<String> found = new ArrayList<>();
        int given = 0;
        while (given < count) {
            RecordsWithSplitIds<Element> batch = reading.fetch();
            for (String shard = batch.nextSplit(); shard != null; shard = batch.nextSplit()) {
                given++;
                for (Element one = batch.nextRecordFromSplit(); one != null; one = batch.nextRecordFromSplit()) {
                    found.add(one instanceof Element.Arrival arrival ? new String(arrival.data()) : shown(one));
                }
            }
        }
        return found;
    }

    private static String shown(Element element) {
        return element instanceof Element.Pause pause ? "tip " + pause.tip() : element.getClass().getSimpleName();
    }

    @Test
    void aShardIsReadToItsTipAndItsTimeIsTold() throws IOException {
        stream.aggregate("s", "a", "b");
        ShardReading reading = reading(Position.HORIZON);
        assertEquals(List.of("a", "b", "tip 1000000"), fetched(reading, 1));
        stream.now = 2_000_000;
        assertEquals(List.of("tip 2000000"), fetched(reading, 1));
    }

    @Test
    void aShardThatIsBehindHasNoTip() throws IOException {
        limits = new ReadLimits(1, 1000, 1_000_000, false);
        stream.aggregate("s", "a");
        stream.aggregate("s", "b");
        assertEquals(List.of("a", "tip 0", "b", "tip 1000000"), fetched(reading(Position.HORIZON), 2));
    }

    @Test
    void anAnswerIsHandedOnInBoundedBatchesBeforeTheNextIsRead() throws IOException {
        limits = new ReadLimits(10, 1, 1_000_000, false);
        stream.aggregate("s", "a");
        stream.aggregate("s", "b");
        stream.aggregate("s", "c");
        assertEquals(List.of("a", "tip 0", "b", "tip 0", "c", "tip 1000000"), fetched(reading(Position.HORIZON), 3));
        assertEquals(List.of("iterator s HORIZON 0", "read s@0"), stream.calls);
    }

    @Test
    void afterThrottlingAndLostAnswersTheSameIsReadAgain() throws IOException {
        stream.aggregate("s", "a");
        stream.refuse("read", MadeStream.THROTTLED, MadeStream.LOST);
        assertEquals(List.of("a", "tip 1000000"), fetched(reading(Position.HORIZON), 1));
        assertEquals(List.of("iterator s HORIZON 0", "read s@0", "read s@0", "read s@0"), stream.calls);
    }

    @Test
    void anExpiredIteratorIsGotAnewBehindTheLastRecord() throws IOException {
        String first = stream.aggregate("s", "a");
        ShardReading reading = reading(Position.HORIZON);
        fetched(reading, 1);
        stream.aggregate("s", "b");
        stream.refuse("read", MadeStream.EXPIRED);
        assertEquals(List.of("b", "tip 1000000"), fetched(reading, 1));
        assertTrue(stream.calls.contains("iterator s AFTER " + first + "0"), stream.calls.toString());
    }

    @Test
    void aRefusalThatLastsEndsTheJob() {
        stream.refuse("read", MadeStream.DENIED);
        IOException error = assertThrows(IOException.class, () -> fetched(reading(Position.HORIZON), 1));
        assertTrue(error.getMessage().contains("AccessDeniedException"), error.getMessage());
    }

    @Test
    void aClosedShardEndsBehindItsLastRecordAndIsReleasedWhenTold() throws IOException {
        stream.aggregate("s", "a");
        stream.close("s");
        ShardReading reading = reading(Position.HORIZON);
        assertEquals(List.of("a", "tip 0", "End"), fetched(reading, 1));
        signal.release("s");
        RecordsWithSplitIds<Element> batch = reading.fetch();
        assertEquals("s", batch.nextSplit());
        assertEquals(new Element.Release(), batch.nextRecordFromSplit());
        assertEquals(java.util.Set.of("s"), batch.finishedSplits());
    }

    @Test
    void aShardPastItsRetentionEndsAndIsTold() throws IOException {
        stream.remove("s");
        assertEquals(List.of("Unreadable", "End"), fetched(reading(Position.after("5")), 1));
    }

    @Test
    void aDrainedShardIsNotReadAgain() throws IOException {
        ShardReading reading = reading(Position.END);
        signal.wake();
        assertEquals(null, reading.fetch().nextSplit());
        assertEquals(List.of(), stream.calls);
    }

    @Test
    void aShardIsReadAtItsPaceOnly() {
        ReadingPace real = new ReadingPace(1000, 400, 2_000_000);
        assertEquals(5_400, real.afterAnswer(5_000, true, 0));
        assertEquals(6_000, real.afterAnswer(5_000, false, 0));
        assertEquals(10_000, real.afterAnswer(5_000, true, 10_000_000));
        assertEquals(5_250, real.afterFailure(5_000, 1, 0));
        assertEquals(15_000, real.afterFailure(5_000, 50, 1));
    }
}
