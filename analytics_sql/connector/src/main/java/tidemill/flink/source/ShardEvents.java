package tidemill.flink.source;

import org.apache.flink.api.connector.source.SourceEvent;

/** What readers and the enumerator tell each other. */
final class ShardEvents {
    private ShardEvents() {}

    /** Reader to enumerator: all of a closed shard has been handed on, so its children may be read. */
    record Drained(String shard) implements SourceEvent {}

    /** Enumerator to reader: a drained shard's children are with their readers, so it need not hold the watermark. */
    record Released(String shard) implements SourceEvent {}

    /** Enumerator to reader: all shards are assigned. A reader without one must not hold the watermark back. */
    record AllAssigned() implements SourceEvent {}
}
