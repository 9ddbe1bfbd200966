package tidemill.flink.source;

import java.util.Iterator;
import java.util.List;
import java.util.Set;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;

/** What is handed on at once: elements of one shard, or the ends of released ones. */
final class ShardBatch implements RecordsWithSplitIds<Element> {
    private final Iterator<String> shards;
    private final List<Element> elements;
    private final Set<String> finished;
    private Iterator<Element> rest;

    private ShardBatch(Set<String> shards, List<Element> elements, Set<String> finished) {
        this.shards = shards.iterator();
        this.elements = elements;
        this.finished = finished;
    }

    static ShardBatch of(String shard, List<Element> elements) {
        return new ShardBatch(Set.of(shard), elements, Set.of());
    }

    static ShardBatch empty() {
        return new ShardBatch(Set.of(), List.of(), Set.of());
    }

    static ShardBatch released(Set<String> shards) {
        return new ShardBatch(shards, List.of(new Element.Release()), shards);
    }

    @Override
    public String nextSplit() {
        if (!shards.hasNext()) {
            return null;
        }
        rest = elements.iterator();
        return shards.next();
    }

    @Override
    public Element nextRecordFromSplit() {
        return rest.hasNext() ? rest.next() : null;
    }

    @Override
    public Set<String> finishedSplits() {
        return finished;
    }
}
