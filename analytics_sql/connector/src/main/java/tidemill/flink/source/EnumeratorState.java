package tidemill.flink.source;

import java.util.Map;

/**
 * What the enumerator keeps in checkpoints.
 *
 * @param hasListed whether the stream's shards have been listed once: shards that are found later are new, and begin at
 *     their oldest record whatever the source's own beginning
 * @param shards the known shards
 */
public record EnumeratorState(boolean hasListed, Map<String, ShardGraph.Entry> shards) {}
