package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.apache.flink.util.FlinkRuntimeException;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.kinesis.Position;

class ShardEnumeratorTest {
    private static final EnumeratorState NEW = new EnumeratorState(false, Map.of());
    private static final String ALL = " ! AllAssigned[]";

    private final MadeStream stream = new MadeStream();

    private ShardEnumerator enumerator(MadeContext context, Beginning.Kind kind, EnumeratorState state) {
        ShardEnumerator made = new ShardEnumerator(context, stream, new Beginning(kind, 0), 10_000, state);
        made.start();
        return made;
    }

    private static void register(ShardEnumerator enumerator, MadeContext context, int subtask, ShardSplit... reported) {
        context.register(subtask, reported);
        enumerator.addReader(subtask);
    }

    @Test
    void shardsAreSpreadEvenlyOnceAllReadersAreThere() {
        stream.shard("a").shard("b").shard("c");
        MadeContext context = new MadeContext(2);
        ShardEnumerator enumerator = enumerator(context, Beginning.Kind.TRIM_HORIZON, NEW);
        register(enumerator, context, 0);
        context.tick();
        assertEquals(List.of(), context.takeTold());
        register(enumerator, context, 1);
        assertEquals(
                List.of("0 < a HORIZON", "0 < c HORIZON", "1 < b HORIZON", "0" + ALL, "1" + ALL), context.takeTold());
    }

    @Test
    void aReaderWithoutAShardIsToldSo() {
        stream.shard("a");
        MadeContext context = new MadeContext(2);
        ShardEnumerator enumerator = enumerator(context, Beginning.Kind.LATEST, NEW);
        register(enumerator, context, 0);
        register(enumerator, context, 1);
        context.tick();
        assertEquals(List.of("0 < a TIME", "0" + ALL, "1" + ALL), context.takeTold());
    }

    @Test
    void childrenOfASplitGoToTheParentsReaderWhichIsThenReleased() {
        stream.shard("p").shard("q");
        MadeContext context = new MadeContext(2);
        ShardEnumerator enumerator = enumerator(context, Beginning.Kind.LATEST, NEW);
        register(enumerator, context, 0);
        register(enumerator, context, 1);
        context.tick();
        context.takeTold();
        stream.close("p");
        enumerator.handleSourceEvent(0, new ShardEvents.Drained("p"));
        assertEquals(List.of(), context.takeTold()); // its watermark is held: no child is known
        stream.shard("x", "p").shard("y", "p");
        context.run(); // it is looked up at once, not in ten seconds
        assertEquals(List.of("0 < x HORIZON", "0 < y HORIZON", "0 ! Released[shard=p]"), context.takeTold());
    }

    @Test
    void theChildOfAMergeWaitsForBothAndBothAreReleased() {
        stream.shard("p").shard("q");
        MadeContext context = new MadeContext(2);
        ShardEnumerator enumerator = enumerator(context, Beginning.Kind.TRIM_HORIZON, NEW);
        register(enumerator, context, 0);
        register(enumerator, context, 1);
        context.tick();
        context.takeTold();
        stream.close("p");
        stream.close("q");
        stream.shard("m", "p", "q");
        context.tick();
        enumerator.handleSourceEvent(1, new ShardEvents.Drained("q"));
        context.run();
        assertEquals(List.of(), context.takeTold());
        enumerator.handleSourceEvent(0, new ShardEvents.Drained("p"));
        assertEquals(
                List.of("0 < m HORIZON", "0 ! Released[shard=p]", "1 ! Released[shard=q]"), context.takeTold());
    }

    @Test
    void aStartFromACheckpointGivesReadersWhatTheyReportEvenly() throws Exception {
        stream.shard("a").shard("b").shard("new");
        ShardGraph.Entry reading = new ShardGraph.Entry(List.of(), ShardGraph.Status.READING, Position.at(1));
        EnumeratorState state = new EnumeratorState(true, Map.of("a", reading, "b", reading));
        MadeContext context = new MadeContext(2);
        ShardEnumerator enumerator = enumerator(context, Beginning.Kind.LATEST, state);
        register(
                enumerator, context, 0, new ShardSplit("a", Position.after("7")), new ShardSplit("b", Position.inside("8", 1)));
        register(enumerator, context, 1);
        assertEquals(List.of(), context.takeTold());
        context.tick();
        assertEquals(
                List.of("0 < a AFTER", "0 < new HORIZON", "1 < b INSIDE", "0" + ALL, "1" + ALL), context.takeTold());
        assertEquals(ShardGraph.Status.READING, enumerator.snapshotState(1).shards().get("new").status());
    }

    @Test
    void aDrainedShardOfACheckpointHasItsChildrenReadAndIsReleased() {
        stream.shard("p").shard("x", "p");
        stream.close("p");
        ShardGraph.Entry drained = new ShardGraph.Entry(List.of(), ShardGraph.Status.DRAINED, Position.at(1));
        MadeContext context = new MadeContext(1);
        ShardEnumerator enumerator =
                enumerator(context, Beginning.Kind.LATEST, new EnumeratorState(true, Map.of("p", drained)));
        register(enumerator, context, 0, new ShardSplit("p", Position.END));
        context.tick();
        assertEquals(List.of("0 < p END", "0" + ALL), context.takeTold());
        enumerator.handleSourceEvent(0, new ShardEvents.Drained("p")); // as its reader says when it gets it
        assertEquals(List.of("0 < x HORIZON", "0 ! Released[shard=p]"), context.takeTold());
    }

    @Test
    void aReaderThatFailsAloneGetsItsOwnBack() {
        stream.shard("a").shard("b");
        MadeContext context = new MadeContext(2);
        ShardEnumerator enumerator = enumerator(context, Beginning.Kind.TRIM_HORIZON, NEW);
        register(enumerator, context, 0);
        register(enumerator, context, 1);
        context.tick();
        context.takeTold();
        context.unregister(0);
        register(enumerator, context, 0, new ShardSplit("a", Position.after("7")), new ShardSplit("b", Position.HORIZON));
        assertEquals(List.of("0 < a AFTER", "0" + ALL), context.takeTold()); // b is with another reader now
        context.unregister(1);
        enumerator.addSplitsBack(List.of(new ShardSplit("b", Position.HORIZON)), 1);
        register(enumerator, context, 1);
        assertEquals(List.of("1 < b HORIZON", "1" + ALL), context.takeTold());
    }

    @Test
    void aFirstListingThatFailsFailsTheJobAndALaterOneIsRepeated() {
        stream.shard("a");
        MadeContext context = new MadeContext(1);
        enumerator(context, Beginning.Kind.TRIM_HORIZON, NEW);
        stream.refuse("shards", MadeStream.GONE);
        FlinkRuntimeException error = assertThrows(FlinkRuntimeException.class, context::tick);
        assertTrue(error.getMessage().contains("ResourceNotFoundException"), error.getMessage());
        context.tick();
        stream.refuse("shards", MadeStream.THROTTLED);
        context.tick();
        stream.refuse("shards", MadeStream.DENIED);
        assertThrows(FlinkRuntimeException.class, context::tick);
    }
}
