package tidemill.flink.source;

import tidemill.flink.kinesis.Position;

/** How far a shard has been handed on, and its watermark. No I/O. */
final class ShardState<T> {
    final Watermarks.OfShard<T> watermark;
    private final String shard;
    private final Position start;
    private String sequence;
    private int done;
    private boolean isInside;
    private boolean isAtEnd;

    ShardState(ShardSplit split, Watermarks.OfShard<T> watermark) {
        this.watermark = watermark;
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
}
