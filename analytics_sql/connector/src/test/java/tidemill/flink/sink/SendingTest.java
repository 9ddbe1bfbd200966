package tidemill.flink.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import tidemill.flink.contract.Aggregates;
import tidemill.flink.contract.CorruptAggregateException;
import tidemill.flink.contract.UserRecord;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.kinesis.Refusal;
import tidemill.flink.kinesis.StreamApi.Entry;

class SendingTest {
    private final MadeStream stream = new MadeStream();
    private Sending sending;

    private Sending sending(long mostRequests) {
        sending = new Sending(stream, new Outbox(500, 5, () -> 0.0), mostRequests, 1_000_000);
        sending.start(new PutMetrics(UnregisteredMetricsGroup.createSinkWriterMetricGroup(), sending::waiting));
        return sending;
    }

    @AfterEach
    void close() throws InterruptedException {
        sending.close();
    }

    /** What is stored of a key, in its order. */
    private List<Integer> stored(String key) throws CorruptAggregateException {
        List<Integer> found = new ArrayList<>();
        for (Entry entry : stream.stored) {
            for (UserRecord one : Aggregates.unpack(entry.data())) {
                if (one.key().equals(key)) {
                    found.add(Integer.valueOf(new String(one.data())));
                }
            }
        }
        return found;
    }

    @Test
    void theOrderOfEachKeyHoldsThroughRefusalsAndLostAnswers() throws Exception {
        Random chance = new Random(7);
        for (int call = 0; call < 40; call++) {
            Refusal[] outcomes = new Refusal[64];
            for (int place = 0; place < outcomes.length; place++) {
                outcomes[place] = chance.nextInt(3) == 0 ? MadeStream.THROTTLED : null;
            }
            outcomes[0] = chance.nextInt(4) == 0 ? MadeStream.LOST : outcomes[0];
            stream.outcomes.add(Arrays.asList(outcomes));
        }
        Sending putting = sending(50);
        for (int number = 0; number < 200; number++) {
            for (String key : List.of("a", "b", "c", "d", "e")) {
                assertTrue(putting.add(key, String.valueOf(number).getBytes()));
            }
        }
        putting.flush();
        for (String key : List.of("a", "b", "c", "d", "e")) {
            List<Integer> withoutRepeats = new ArrayList<>();
            for (int number : stored(key)) {
                boolean isRepeat = !withoutRepeats.isEmpty() && number <= Collections.max(withoutRepeats);
                if (!isRepeat) {
                    assertEquals(withoutRepeats.size(), number);
                    withoutRepeats.add(number);
                }
            }
            assertEquals(200, withoutRepeats.size());
        }
        assertTrue(stored("a").size() >= 200);
    }

    @Test
    void aFlushReturnsWhenEverythingIsStored() throws Exception {
        stream.outcomes.add(List.of(MadeStream.THROTTLED));
        Sending putting = sending(1000);
        putting.add("a", "1".getBytes());
        putting.flush();
        assertEquals(List.of(1), stored("a"));
        assertEquals(2, stream.puts.size());
    }

    @Test
    void aFullOutboxHoldsItsCallerBack() throws Exception {
        Sending putting = sending(10);
        for (int number = 0; number < 100; number++) {
            putting.add("a", String.valueOf(number).getBytes());
            assertTrue(putting.waiting() <= 10);
        }
        putting.flush();
        assertEquals(100, stored("a").size());
    }

    @Test
    void aRefusalThatLastsFailsTheCheckpoint() throws Exception {
        stream.refuse("put", MadeStream.DENIED);
        Sending putting = sending(10);
        putting.add("a", "1".getBytes());
        IOException error = assertThrows(IOException.class, putting::flush);
        assertTrue(error.getMessage().contains("AccessDeniedException"), error.getMessage());
        assertThrows(IOException.class, () -> putting.add("a", "2".getBytes()));
    }
}
