package tidemill.flink.sink;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A lane: its records in order, and at most one of them out. No I/O.
 *
 * <pre>
 *   request ─▶ last ─ full or due ─▶ out ─ stored ─▶ the next may leave
 *                                    │ ▲
 *                                    └─┘ refused or lost: it stays out, and is put again after a back-off
 * </pre>
 */
final class Lane {
    private static final long FIRST_BACKOFF = 50;
    private static final long LONGEST_BACKOFF = 5_000;
    private static final int MOST_REQUESTS = 10_000;

    private final int number;
    private final int recordBytes;
    private final int mostBytes;

    /** Its records, oldest first. Only the last one takes requests, and only while it is not out. */
    private final Deque<LaneRecord> records = new ArrayDeque<>();

    private LaneRecord out;
    private boolean isInFlight;
    private long readyAt;
    private int failures;

    /**
     * @param recordBytes bytes of a full record
     * @param mostBytes bytes that a record may have, if one request makes it larger than a full one
     */
    Lane(int number, int recordBytes, int mostBytes) {
        this.number = number;
        this.recordBytes = recordBytes;
        this.mostBytes = mostBytes;
    }

    /** Adds a request. Returns whether it could: false if it is too large for any record. */
    boolean add(String key, byte[] request, long dueAt) {
        LaneRecord last = records.peekLast();
        boolean isOpen = last != null && last != out && last.count() < MOST_REQUESTS;
        if (isOpen && last.append(key, request, recordBytes)) {
            return true;
        }
        LaneRecord next = new LaneRecord(number, dueAt);
        if (!next.append(key, request, mostBytes)) {
            return false;
        }
        records.add(next);
        return true;
    }

    /** When its next record leaves, in milliseconds; Long.MAX_VALUE if none waits or one is in flight. */
    long leavesAt(boolean isFlushing) {
        if (isInFlight || records.isEmpty()) {
            return Long.MAX_VALUE;
        }
        if (out != null) {
            return readyAt;
        }
        boolean isFull = records.size() > 1;
        return isFlushing || isFull ? Long.MIN_VALUE : records.peek().dueAt;
    }

    /** The record that would leave next. */
    LaneRecord next() {
        return records.peek();
    }

    LaneRecord takeOff() {
        out = records.peek();
        isInFlight = true;
        return out;
    }

    void stored() {
        records.poll();
        out = null;
        isInFlight = false;
        failures = 0;
    }

    /**
     * It stays out.
     *
     * @param chance a random number from 0 to 1
     */
    void failed(long now, double chance) {
        isInFlight = false;
        long backoff = Math.min(LONGEST_BACKOFF, FIRST_BACKOFF << Math.min(failures++, 10));
        readyAt = now + (long) (backoff * (0.5 + chance / 2));
    }
}
