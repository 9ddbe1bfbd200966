package tidemill.flink.source;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tidemill.flink.kinesis.Position;
import tidemill.flink.kinesis.StreamApi.Shard;

/**
 * One idea: the shards of a stream as a family, which decides which may be read. No I/O.
 *
 * <pre>
 *   WAITING ─ no parent is waiting or being read ─▶ READING ─ all of it handed on ─▶ DRAINED ─▶ DONE
 *                                                                                      │
 *              holds its reader's watermark until its children are being read ◀────────┘
 * </pre>
 *
 * <p>A drained shard's watermark stays where it ended until its children have one. Otherwise the watermark would move on
 * by the other shards' alone, and the first records of the children would be late.
 */
public final class ShardGraph {
    public enum Status {
        WAITING,
        READING,
        DRAINED,
        DONE
    }

    /** What is known of a shard. */
    public record Entry(List<String> parents, Status status, Position start) implements Serializable {
        Entry with(Status next) {
            return new Entry(parents, next, start);
        }
    }

    private final Map<String, Entry> entries;

    /** The shards of the last listing. Empty before the first. */
    private Set<String> listed = Set.of();

    ShardGraph() {
        this(Map.of());
    }

    ShardGraph(Map<String, Entry> entries) {
        this.entries = new LinkedHashMap<>(entries);
    }

    Map<String, Entry> entries() {
        return new LinkedHashMap<>(entries);
    }

    Status status(String shard) {
        Entry entry = entries.get(shard);
        return entry == null ? null : entry.status;
    }

    List<String> parents(String shard) {
        return entries.get(shard).parents;
    }

    /**
     * Takes note of a listing.
     *
     * @param start where shards begin that are not known yet
     * @param onlyOpen whether closed ones among these are not read at all, for the reader begins at the newest record
     */
    void list(Collection<Shard> shards, Position start, boolean onlyOpen) {
        listed = new HashSet<>();
        for (Shard shard : shards) {
            listed.add(shard.id());
            Status status = onlyOpen && shard.closed() ? Status.DONE : Status.WAITING;
            entries.putIfAbsent(shard.id(), new Entry(shard.parents(), status, start));
        }
        forget();
    }

    /** Shards that may be read now: nobody reads them, and nothing of their parents is still to be read. */
    List<ShardSplit> ready() {
        List<ShardSplit> found = new ArrayList<>();
        entries.forEach((id, entry) -> {
            if (entry.status == Status.WAITING && entry.parents.stream().noneMatch(this::isUnread)) {
                found.add(new ShardSplit(id, entry.start));
            }
        });
        return found;
    }

    /** Drained shards whose children are all being read, or that the stream no longer has. */
    List<String> releasable() {
        List<String> found = new ArrayList<>();
        entries.forEach((id, entry) -> {
            if (entry.status == Status.DRAINED && (hasReadChildren(id) || (!listed.isEmpty() && !listed.contains(id)))) {
                found.add(id);
            }
        });
        return found;
    }

    /** A reader has it, from now on or still: after a failure a reader may stand before what is known here. */
    void reading(String shard, Position position) {
        Entry entry = entries.getOrDefault(shard, new Entry(List.of(), Status.READING, position));
        entries.put(shard, entry.with(Status.READING));
    }

    /** The shard came back unread. */
    void unread(String shard) {
        set(shard, Status.WAITING);
    }

    void drained(String shard) {
        set(shard, Status.DRAINED);
    }

    void done(String shard) {
        set(shard, Status.DONE);
    }

    private void set(String shard, Status status) {
        entries.computeIfPresent(shard, (id, entry) -> entry.with(status));
    }

    private boolean isUnread(String shard) {
        Status status = status(shard);
        return status == Status.WAITING || status == Status.READING;
    }

    private boolean hasReadChildren(String shard) {
        List<Entry> children = entries.values().stream().filter(one -> one.parents.contains(shard)).toList();
        return !children.isEmpty() && children.stream().noneMatch(one -> one.status == Status.WAITING);
    }

    /** What is done and no longer listed would be kept for ever: a stream may be resharded every day. */
    private void forget() {
        entries.entrySet().removeIf(one -> one.getValue().status == Status.DONE && !listed.contains(one.getKey()));
    }
}
