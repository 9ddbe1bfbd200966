package tidemill.flink.sink;

import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleSupplier;
import tidemill.flink.contract.Lanes;
import tidemill.flink.kinesis.Refusal;
import tidemill.flink.kinesis.StreamApi.Outcome;

/**
 * What is to be put on the stream: decides which records make the next call, and what an answer means for them. No I/O;
 * times are milliseconds of one clock. Not for several threads.
 *
 * <p>A key has one lane, and of a lane one record is out, so the order of each key holds through refused entries and lost
 * answers.
 */
final class Outbox {
    /** Size of a full record: one PUT payload unit, as the SDK's. */
    static final int RECORD_BYTES = 25 * 1024;

    /** A stream's default limit, less the longest marked partition key. */
    static final int MOST_RECORD_BYTES = 1024 * 1024 - "lane-63 tried 9223372036854775807".length();

    /** Most bytes of a PutRecords call: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html */
    static final int CALL_BYTES = 10 * 1024 * 1024;

    private final int callRecords;
    private final long lingerMillis;
    private final DoubleSupplier chance;
    private final Lane[] lanes = new Lane[Lanes.LANES];
    private int firstLane;
    private long requests;
    private long bytes;

    /**
     * @param callRecords most records of a call
     * @param lingerMillis how long a request may wait for others
     * @param chance random numbers from 0 to 1
     */
    Outbox(int callRecords, long lingerMillis, DoubleSupplier chance) {
        this.callRecords = callRecords;
        this.lingerMillis = lingerMillis;
        this.chance = chance;
        for (int number = 0; number < lanes.length; number++) {
            lanes[number] = new Lane(number, RECORD_BYTES, MOST_RECORD_BYTES);
        }
    }

    /** Adds a request. Returns whether it could: false if no record can hold it. */
    boolean add(String key, byte[] request, long now) {
        if (!lanes[Lanes.laneOf(key)].add(key, request, now + lingerMillis)) {
            return false;
        }
        requests++;
        bytes += request.length;
        return true;
    }

    /** Number of requests that are not known to be stored. */
    long requests() {
        return requests;
    }

    /** Bytes of these requests. */
    long bytes() {
        return bytes;
    }

    /** When the next call leaves, in milliseconds; Long.MAX_VALUE if there is none. */
    long leavesAt(boolean isFlushing) {
        long first = Long.MAX_VALUE;
        for (Lane lane : lanes) {
            first = Math.min(first, lane.leavesAt(isFlushing));
        }
        return first;
    }

    /** The records of the next call, at most one of each lane; none if none may leave now. */
    List<LaneRecord> take(long now, boolean isFlushing) {
        List<LaneRecord> call = new ArrayList<>();
        long size = 0;
        for (int step = 0; step < lanes.length && call.size() < callRecords; step++) {
            Lane lane = lanes[(firstLane + step) % lanes.length];
            if (lane.leavesAt(isFlushing) > now) {
                continue;
            }
            size += lane.next().carried();
            if (size > CALL_BYTES) {
                break;
            }
            call.add(lane.takeOff());
        }
        if (!call.isEmpty()) {
            firstLane = call.get(call.size() - 1).lane() + 1; // so that small calls serve all lanes in turn
        }
        return call;
    }

    /** The outcome of one record of a call. Returns how many requests are stored by it. */
    int settle(LaneRecord record, Outcome outcome, long now) {
        if (outcome.isStored()) {
            lanes[record.lane()].stored();
            requests -= record.count();
            bytes -= record.bytes();
            return record.count();
        }
        Refusal refusal = outcome.refusal();
        if (refusal.lost()) {
            record.maybeStored();
        }
        lanes[record.lane()].failed(now, chance.getAsDouble());
        return 0;
    }
}
