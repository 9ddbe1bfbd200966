package tidemill.flink.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import tidemill.flink.contract.Aggregates;
import tidemill.flink.contract.CorruptAggregateException;
import tidemill.flink.contract.Lanes;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.kinesis.StreamApi.Outcome;

class OutboxTest {
    private static final Outcome STORED = new Outcome(null);
    private static final String A = "a";
    private static final String B = other(A);

    private final Outbox outbox = new Outbox(500, 100, () -> 1.0);

    /** A key of another lane. */
    private static String other(String key) {
        String found = key;
        while (Lanes.laneOf(found) == Lanes.laneOf(key)) {
            found += "x";
        }
        return found;
    }

    private void add(String key, String text, long now) {
        assertTrue(outbox.add(key, text.getBytes(), now));
    }

    private static List<String> texts(LaneRecord record) throws CorruptAggregateException {
        return Aggregates.unpack(record.entry().data()).stream().map(one -> new String(one.data())).toList();
    }

    @Test
    void requestsOfALaneLeaveTogetherWhenTheFirstHasWaited() throws CorruptAggregateException {
        add(A, "1", 0);
        add(A, "2", 50);
        assertEquals(List.of(), outbox.take(99, false));
        assertEquals(100, outbox.leavesAt(false));
        LaneRecord record = outbox.take(100, false).get(0);
        assertEquals(List.of("1", "2"), texts(record));
        assertEquals("lane-" + Lanes.laneOf(A), record.entry().partitionKey());
        assertEquals(Lanes.hashKey(Lanes.laneOf(A)), record.entry().hashKey());
    }

    @Test
    void aFlushWaitsForNothing() {
        add(A, "1", 0);
        assertEquals(1, outbox.take(0, true).size());
    }

    @Test
    void aFullRecordLeavesAtOnce() {
        String large = "x".repeat(20_000);
        add(A, large, 0);
        add(A, large, 0);
        assertEquals(1, outbox.take(0, false).size());
    }

    @Test
    void ofALaneOneRecordIsOut() throws CorruptAggregateException {
        add(A, "1", 0);
        LaneRecord first = outbox.take(0, true).get(0);
        add(A, "2", 0);
        assertEquals(List.of(), outbox.take(1000, true));
        outbox.settle(first, STORED, 1000);
        assertEquals(List.of("2"), texts(outbox.take(1000, true).get(0)));
    }

    @Test
    void behindAStoredRecordTheNextWaitsForOthers() throws CorruptAggregateException {
        add(A, "1", 0);
        LaneRecord first = outbox.take(100, false).get(0);
        add(A, "2", 200);
        outbox.settle(first, STORED, 250);
        add(A, "3", 260);
        assertEquals(300, outbox.leavesAt(false));
        assertEquals(List.of("2", "3"), texts(outbox.take(300, false).get(0)));
    }

    @Test
    void aRefusedRecordLeavesAgainBeforeWhatCameAfterIt() throws CorruptAggregateException {
        add(A, "1", 0);
        add(B, "other", 0);
        List<LaneRecord> call = outbox.take(0, true);
        add(A, "2", 0);
        for (LaneRecord one : call) {
            boolean isA = one.lane() == Lanes.laneOf(A);
            outbox.settle(one, isA ? new Outcome(MadeStream.THROTTLED) : STORED, 0);
        }
        assertEquals(List.of(), outbox.take(0, true)); // it waits for its back-off
        LaneRecord again = outbox.take(outbox.leavesAt(true), true).get(0);
        assertEquals(List.of("1"), texts(again));
        assertEquals("lane-" + Lanes.laneOf(A), again.entry().partitionKey()); // certainly not stored: no mark
        assertEquals(2, outbox.requests());
    }

    @Test
    void afterALostAnswerTheSameBytesLeaveWithAMark() {
        add(A, "1", 0);
        LaneRecord record = outbox.take(0, true).get(0);
        record.attempted(123_456);
        byte[] before = record.entry().data();
        outbox.settle(record, new Outcome(MadeStream.LOST), 0);
        LaneRecord again = outbox.take(1000, true).get(0);
        again.attempted(999_999);
        assertEquals("lane-" + Lanes.laneOf(A) + " tried 123456", again.entry().partitionKey());
        assertEquals(before, again.entry().data());
    }

    @Test
    void whatIsTooLargeForAnyRecordIsNotTaken() {
        assertTrue(outbox.add(A, new byte[Outbox.MOST_RECORD_BYTES - 200], 0));
        assertFalse(outbox.add(A, new byte[Outbox.MOST_RECORD_BYTES], 0));
        assertEquals(1, outbox.requests());
    }

    @Test
    void aCallKeepsToItsBounds() {
        Outbox small = new Outbox(2, 0, () -> 1.0);
        for (int number = 0; number < 300; number++) {
            small.add("key-" + number, new byte[] {1}, 0);
        }
        assertEquals(2, small.take(0, false).size());
        for (int number = 0; number < 300; number++) {
            outbox.add("key-" + number, new byte[900_000], 0);
        }
        long size = outbox.take(0, true).stream().mapToLong(LaneRecord::carried).sum();
        assertTrue(size <= Outbox.CALL_BYTES && size > Outbox.CALL_BYTES - 1_000_000, size + " bytes");
    }
}
