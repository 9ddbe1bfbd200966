package tidemill.flink.source;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.metrics.Counter;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tidemill.flink.kinesis.KinesisException;
import tidemill.flink.kinesis.Position;
import tidemill.flink.kinesis.StreamApi;

/**
 * Lists the stream's shards, and gives them to readers: parents before children, and evenly.
 *
 * <p>Which may be read, {@link ShardGraph} decides. Children go to a reader that has one of their parents, which holds
 * that reader's watermark, so that none of their records is late. A start from a checkpoint spreads the shards evenly
 * again, for readers report what they have (FLIP-537) and are given it anew.
 *
 * <p>All methods run in the coordinator's one thread; only the listing itself runs in another.
 */
final class ShardEnumerator implements SplitEnumerator<ShardSplit, EnumeratorState> {
    private static final Logger LOG = LoggerFactory.getLogger(ShardEnumerator.class);

    private final SplitEnumeratorContext<ShardSplit> context;
    private final StreamApi stream;
    private final Beginning beginning;
    private final long discoveryMillis;
    private final ShardGraph graph;
    private final Counter failedListings;

    /** Shard -> the subtask that has it. */
    private final Map<String, Integer> owners = new HashMap<>();

    /** What readers reported before all of them were there. */
    private final Map<String, ShardSplit> reported = new TreeMap<>();

    /** Subtasks that know that all shards are assigned. */
    private final Set<Integer> informed = new HashSet<>();

    private boolean hasListed;
    private boolean hasListedNow;
    private boolean isSpread;
    private boolean isListing;
    private boolean listsAgain;

    ShardEnumerator(
            SplitEnumeratorContext<ShardSplit> context,
            StreamApi stream,
            Beginning beginning,
            long discoveryMillis,
            EnumeratorState state) {
        this.context = context;
        this.stream = stream;
        this.beginning = beginning;
        this.discoveryMillis = discoveryMillis;
        this.graph = new ShardGraph(state.shards());
        this.hasListed = state.hasListed();
        this.failedListings = context.metricGroup().counter("failedListings");
    }

    @Override
    public void start() {
        context.callAsync(stream::shards, this::listed, 0, discoveryMillis);
    }

    @Override
    public void handleSplitRequest(int subtask, String host) {
        // Readers ask for nothing: they are given what they are to read.
    }

    @Override
    public void addReader(int subtask) {
        informed.remove(subtask);
        List<ShardSplit> all = context.registeredReaders().get(subtask).getReportedSplitsOnRegistration();
        List<ShardSplit> splits = all.stream().filter(one -> !isElsewhere(one.shard(), subtask)).toList();
        for (ShardSplit split : splits) {
            graph.reading(split.shard(), split.position());
            reported.put(split.shard(), split);
            owners.put(split.shard(), subtask);
        }
        if (isSpread) {
            // It alone has failed: what it had is its own again, for there its children will come.
            Map<Integer, List<ShardSplit>> own = new HashMap<>();
            own.put(subtask, splits.stream().filter(one -> reported.remove(one.shard()) != null).toList());
            assign(own);
        }
        proceed();
    }

    @Override
    public void addSplitsBack(List<ShardSplit> splits, int subtask) {
        splits.forEach(one -> graph.unread(one.shard()));
    }

    @Override
    public void handleSourceEvent(int subtask, SourceEvent event) {
        if (event instanceof ShardEvents.Drained drained) {
            LOG.info("Shard {} is drained", drained.shard());
            owners.put(drained.shard(), subtask);
            graph.drained(drained.shard());
            proceed();
            if (graph.status(drained.shard()) == ShardGraph.Status.DRAINED) {
                listSoon(); // its children are not known yet
            }
        } else {
            throw new IllegalArgumentException("not an event of this source: " + event);
        }
    }

    @Override
    public EnumeratorState snapshotState(long checkpoint) {
        return new EnumeratorState(hasListed, graph.entries());
    }

    @Override
    public void close() throws IOException {
        stream.close();
    }

    /** A reader that fails alone reports what it had at the last checkpoint; another may have been given it since. */
    private boolean isElsewhere(String shard, int subtask) {
        return graph.status(shard) == ShardGraph.Status.READING && owners.getOrDefault(shard, subtask) != subtask;
    }

    private void listSoon() {
        if (isListing) {
            listsAgain = true;
            return;
        }
        isListing = true;
        context.callAsync(stream::shards, (shards, error) -> {
            isListing = false;
            listed(shards, error);
            if (listsAgain) {
                listsAgain = false;
                listSoon();
            }
        });
    }

    private void listed(StreamApi.Shards shards, Throwable error) {
        if (error != null) {
            notListed(error);
            return;
        }
        if (hasListed) {
            graph.list(shards.shards(), Position.HORIZON, false);
        } else {
            boolean onlyOpen = beginning.kind() == Beginning.Kind.LATEST;
            if (onlyOpen && shards.at() == 0) {
                throw new FlinkRuntimeException("the answer to ListShards has no Date, so LATEST is no time");
            }
            graph.list(shards.shards(), beginning.position(shards.at()), onlyOpen);
        }
        hasListed = true;
        hasListedNow = true;
        proceed();
    }

    /** A first listing that fails says what is wrong with the options; a later one is repeated. */
    private void notListed(Throwable error) {
        failedListings.inc();
        boolean isLasting = error instanceof KinesisException refused && !refused.refusal().again();
        if (!hasListedNow || isLasting) {
            throw new FlinkRuntimeException("the stream's shards cannot be listed: " + error.getMessage(), error);
        }
        LOG.warn("The stream's shards could not be listed, and will be again", error);
    }

    /** Gives out what may be read, and releases what is no longer needed. */
    private void proceed() {
        if (!hasListedNow || context.registeredReaders().size() < context.currentParallelism()) {
            return;
        }
        isSpread = true;
        Map<Integer, List<ShardSplit>> assignment = new HashMap<>();
        spread(assignment);
        for (ShardSplit split : graph.ready()) {
            give(assignment, split, wanted(split.shard()));
            graph.reading(split.shard(), split.position());
        }
        assign(assignment);
        for (String shard : graph.releasable()) {
            graph.done(shard);
            Integer owner = owners.remove(shard);
            if (owner != null && context.registeredReaders().containsKey(owner)) {
                context.sendEventToSourceReader(owner, new ShardEvents.Released(shard));
            }
        }
        for (int subtask : context.registeredReaders().keySet()) {
            if (informed.add(subtask)) {
                context.sendEventToSourceReader(subtask, new ShardEvents.AllAssigned());
            }
        }
    }

    /** Deals out what readers reported at the start, in the order of the shards' names. */
    private void spread(Map<Integer, List<ShardSplit>> assignment) {
        reported.keySet().forEach(owners::remove);
        reported.values().forEach(one -> give(assignment, one, null));
        reported.clear();
    }

    /** The subtask that had it before a failure, or else has a parent of it: their watermarks are not past it. */
    private Integer wanted(String shard) {
        return Stream.concat(Stream.of(shard), graph.parents(shard).stream())
                .map(owners::get)
                .filter(one -> one != null && context.registeredReaders().containsKey(one))
                .findFirst()
                .orElse(null);
    }

    private void give(Map<Integer, List<ShardSplit>> assignment, ShardSplit split, Integer wanted) {
        int subtask = wanted == null ? leastLoaded() : wanted;
        owners.put(split.shard(), subtask);
        assignment.computeIfAbsent(subtask, one -> new ArrayList<>()).add(split);
    }

    private int leastLoaded() {
        return context.registeredReaders().keySet().stream()
                .min(Comparator.comparingLong(this::load).thenComparingInt(one -> one))
                .orElseThrow();
    }

    private long load(int subtask) {
        return owners.values().stream().filter(one -> one == subtask).count();
    }

    private void assign(Map<Integer, List<ShardSplit>> assignment) {
        assignment.values().removeIf(List::isEmpty);
        if (!assignment.isEmpty()) {
            LOG.info("Assigning {}", assignment);
            context.assignSplits(new SplitsAssignment<>(assignment));
        }
    }
}
