package tidemill.flink.source;

import tidemill.flink.kinesis.Position;
import tidemill.flink.kinesis.StreamApi.Page;
import tidemill.flink.kinesis.StreamApi.RawRecord;

/** Where the reading of one shard stands. No I/O. */
final class ShardCursor {
    final String shard;
    final Unpacking unpacking;

    /** Where an iterator begins that is got anew. */
    Position position;

    /** The next iterator; null if it has to be got. */
    String iterator;

    /** When it may be read next, in milliseconds. */
    long dueAt;

    int failures;
    boolean isPaused;

    /** Whether its end was read; what is unpacked may still wait. */
    boolean isAtEnd;

    /** The service's time at the last answer, if that was the shard's tip; else 0. */
    long tip;

    ShardCursor(ShardSplit split) {
        shard = split.shard();
        position = split.position();
        unpacking = new Unpacking(shard, position);
        isAtEnd = position.isEnd();
    }

    boolean isReadable() {
        return !isPaused && !isAtEnd;
    }

    void answered(Page page, long nextAt) {
        unpacking.add(page.records());
        if (!page.records().isEmpty()) {
            RawRecord last = page.records().get(page.records().size() - 1);
            position = Position.after(last.sequence());
        }
        iterator = page.next();
        isAtEnd = iterator == null;
        tip = page.millisBehind() == 0 && !isAtEnd ? page.at() : 0;
        failures = 0;
        dueAt = nextAt;
    }

    void failed(boolean keepsIterator, long nextAt) {
        iterator = keepsIterator ? iterator : null;
        failures++;
        tip = 0;
        dueAt = nextAt;
    }
}
