package tidemill.flink.sink;

import java.nio.charset.StandardCharsets;
import tidemill.flink.contract.AggregateWriter;
import tidemill.flink.contract.Lanes;
import tidemill.flink.kinesis.StreamApi.Entry;

/** A lane's record, from its first request until it is stored. No I/O; times are milliseconds of one clock. */
final class LaneRecord {
    private final int lane;
    private final String hashKey;
    private AggregateWriter aggregate;
    private byte[] data;

    /** When its first request has waited as long as it may. */
    final long dueAt;

    /** Number of its requests, and the bytes of their data. */
    private int count;

    private long bytes;

    /** Whether an answer to it was lost, so that it may be stored. */
    private boolean isMaybeStored;

    /** A time not after its first attempt's arrival; -1 before that. */
    private long tried = -1;

    LaneRecord(int lane, long dueAt) {
        this.lane = lane;
        this.dueAt = dueAt;
        hashKey = Lanes.hashKey(lane);
        aggregate = new AggregateWriter(hashKey);
    }

    boolean append(String key, byte[] request, int limit) {
        if (!aggregate.append(key, request, limit)) {
            return false;
        }
        count++;
        bytes += request.length;
        return true;
    }

    int lane() {
        return lane;
    }

    int count() {
        return count;
    }

    long bytes() {
        return bytes;
    }

    /** Bytes that it adds to a call, its partition key included. */
    int carried() {
        int own = data == null ? aggregate.size() : data.length;
        return own + partitionKey().getBytes(StandardCharsets.UTF_8).length;
    }

    /** The entry to put: as on the first attempt, or marked if that may have been stored. */
    Entry entry() {
        if (data == null) {
            data = aggregate.pack();
            aggregate = null;
        }
        return new Entry(partitionKey(), hashKey, data);
    }

    /** Notes that it is put now. */
    void attempted(long certainlyPast) {
        if (tried < 0) {
            tried = certainlyPast;
        }
    }

    void maybeStored() {
        isMaybeStored = true;
    }

    private String partitionKey() {
        return isMaybeStored ? Lanes.markedPartitionKey(lane, tried) : Lanes.partitionKey(lane);
    }
}
