package tidemill.flink.kinesis;

import java.io.Serializable;

/**
 * A place in a shard, from which it is read on.
 *
 * @param kind what the place is
 * @param sequence the sequence number, of the kinds AFTER and INSIDE; else empty
 * @param number of INSIDE, how many user records of the aggregate are behind the place; of TIME, milliseconds since
 *     1970; else 0
 */
public record Position(Kind kind, String sequence, long number) implements Serializable {
    /** What a place in a shard is. */
    public enum Kind {
        /** The oldest record that is kept. */
        HORIZON,
        /** The first record that arrived at a time or later. */
        TIME,
        /** Behind a record. */
        AFTER,
        /** Inside an aggregate: some of its user records are done and some are not. */
        INSIDE,
        /** Behind the last record of a closed shard. */
        END
    }

    public static final Position HORIZON = new Position(Kind.HORIZON, "", 0);
    public static final Position END = new Position(Kind.END, "", 0);

    public static Position at(long millis) {
        return new Position(Kind.TIME, "", millis);
    }

    public static Position after(String sequence) {
        return new Position(Kind.AFTER, sequence, 0);
    }

    public static Position inside(String sequence, long done) {
        return new Position(Kind.INSIDE, sequence, done);
    }

    public boolean isEnd() {
        return kind == Kind.END;
    }
}
