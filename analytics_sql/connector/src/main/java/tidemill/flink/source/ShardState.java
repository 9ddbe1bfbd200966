package tidemill.flink.source;

import org.apache.flink.api.common.eventtime.Watermark;
import tidemill.flink.kinesis.Position;

/** How far a shard has been handed on, and its watermark. No I/O. */
final class ShardState {
    private final String shard;
    private final Position start;
    private String sequence;
    private int done;
    private boolean isInside;
    private boolean isAtEnd;
    private long newest = Long.MIN_VALUE;
    private long watermark = Long.MIN_VALUE;

    ShardState(ShardSplit split) {
        shard = split.shard();
        start = split.position();
        isAtEnd = start.isEnd();
    }

    ShardSplit split() {
        return new ShardSplit(shard, position());
    }

    private Position position() {
        if (isAtEnd) {
            return Position.END;
        }
        if (sequence == null) {
            return start;
        }
        return isInside ? Position.inside(sequence, done) : Position.after(sequence);
    }

    void handedOn(Element.Arrival arrival) {
        sequence = arrival.sequence();
        done = arrival.number() + 1;
        isInside = !arrival.isLast();
        newest = Math.max(newest, arrival.arrival());
    }

    void passedOver(Element.Unreadable unreadable) {
        if (!unreadable.sequence().isEmpty()) {
            sequence = unreadable.sequence();
            isInside = false;
        }
    }

    void ended() {
        isAtEnd = true;
    }

    /**
     * The shard's watermark if it has risen, else null.
     *
     * <p>Event time is the arrival. A shard that was read up to its tip has all that arrived before the answer, so it
     * follows the service's time even without records. One that is behind, throttled or in error has no tip, and waits.
     *
     * @param tip the service's time at the tip in milliseconds since 1970; 0 if it was not reached
     * @param delay by how many milliseconds arrivals of a shard may be out of order
     */
    Watermark watermark(long tip, long delay) {
        long at = Math.max(newest, tip == 0 ? Long.MIN_VALUE : tip);
        if (at == Long.MIN_VALUE || at - delay - 1 <= watermark) {
            return null;
        }
        watermark = at - delay - 1;
        return new Watermark(watermark);
    }
}
