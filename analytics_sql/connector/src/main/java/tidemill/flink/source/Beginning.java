package tidemill.flink.source;

import java.io.Serializable;
import tidemill.flink.kinesis.Position;

/**
 * Where the source begins, if it begins without a checkpoint.
 *
 * @param kind which place
 * @param millis of AT_TIMESTAMP, milliseconds since 1970
 */
public record Beginning(Kind kind, long millis) implements Serializable {
    /** The official connector's names. */
    public enum Kind {
        TRIM_HORIZON,
        LATEST,
        AT_TIMESTAMP
    }

    /**
     * The beginning as a place in each of the shards that are there now.
     *
     * <p>LATEST is the time at which the stream is listed first, and not the tip when a shard's reader first asks: so
     * nothing is passed over if the job fails before that, or if a shard is split meanwhile.
     *
     * @param now the service's time, in milliseconds since 1970
     */
    Position position(long now) {
        return switch (kind) {
            case TRIM_HORIZON -> Position.HORIZON;
            case LATEST -> Position.at(now);
            case AT_TIMESTAMP -> Position.at(millis);
        };
    }
}
