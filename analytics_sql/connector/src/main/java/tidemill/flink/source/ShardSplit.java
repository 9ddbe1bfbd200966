package tidemill.flink.source;

import java.io.Serializable;
import org.apache.flink.api.connector.source.SourceSplit;
import tidemill.flink.kinesis.Position;

/** A shard, and the place from which it is read. One at its end holds its reader's watermark until it is released. */
public record ShardSplit(String shard, Position position) implements SourceSplit, Serializable {
    @Override
    public String splitId() {
        return shard;
    }
}
