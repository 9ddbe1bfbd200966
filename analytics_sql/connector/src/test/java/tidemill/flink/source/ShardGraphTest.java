package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.Position;
import tidemill.flink.kinesis.StreamApi.Shard;

class ShardGraphTest {
    private final ShardGraph graph = new ShardGraph();

    private static Shard open(String id, String... parents) {
        return new Shard(id, List.of(parents), false);
    }

    private static Shard closed(String id, String... parents) {
        return new Shard(id, List.of(parents), true);
    }

    private List<String> ready() {
        return graph.ready().stream().map(ShardSplit::shard).toList();
    }

    private void read(String... shards) {
        for (String shard : shards) {
            graph.reading(shard, Position.HORIZON);
        }
    }

    @Test
    void parentsAreReadBeforeTheirChildren() {
        graph.list(List.of(closed("p"), open("a", "p"), open("b", "p"), open("other")), Position.HORIZON, false);
        assertEquals(List.of("p", "other"), ready());
        read("p", "other");
        assertEquals(List.of(), ready());
        graph.drained("p");
        assertEquals(List.of("a", "b"), ready());
    }

    @Test
    void theChildOfAMergeWaitsForBothParents() {
        graph.list(List.of(closed("p"), closed("q"), open("child", "p", "q")), Position.HORIZON, false);
        read("p", "q");
        graph.drained("p");
        assertEquals(List.of(), ready());
        graph.drained("q");
        assertEquals(List.of("child"), ready());
    }

    @Test
    void aChildWhoseParentsAreNoLongerListedIsRead() {
        graph.list(List.of(open("child", "trimmed")), Position.HORIZON, false);
        assertEquals(List.of("child"), ready());
    }

    @Test
    void aDrainedShardIsHeldUntilAllItsChildrenAreRead() {
        graph.list(List.of(closed("p")), Position.HORIZON, false);
        read("p");
        graph.drained("p");
        assertEquals(List.of(), graph.releasable()); // its children are not listed yet
        graph.list(List.of(closed("p"), open("a", "p"), open("b", "p")), Position.HORIZON, false);
        read("a");
        assertEquals(List.of(), graph.releasable());
        read("b");
        assertEquals(List.of("p"), graph.releasable());
    }

    @Test
    void aDrainedShardThatTheStreamNoLongerHasIsReleased() {
        graph.list(List.of(closed("p"), open("other")), Position.HORIZON, false);
        read("p", "other");
        graph.drained("p");
        graph.list(List.of(open("other")), Position.HORIZON, false);
        assertEquals(List.of("p"), graph.releasable());
    }

    @Test
    void fromTheNewestRecordOnClosedShardsAreNotRead() {
        graph.list(List.of(closed("p"), open("a", "p")), Position.at(7), true);
        assertEquals(List.of(new ShardSplit("a", Position.at(7))), graph.ready());
    }

    @Test
    void shardsThatAreFoundLaterBeginAtTheirOldestRecord() {
        graph.list(List.of(open("a")), Position.at(7), true);
        graph.list(List.of(closed("a"), open("b", "a")), Position.HORIZON, false);
        read("a");
        graph.drained("a");
        assertEquals(List.of(new ShardSplit("b", Position.HORIZON)), graph.ready());
    }

    @Test
    void whatIsDoneIsForgottenOnceItIsNoLongerListed() {
        graph.list(List.of(closed("p"), open("a", "p")), Position.HORIZON, false);
        read("p");
        graph.done("p");
        graph.list(List.of(closed("p"), open("a", "p")), Position.HORIZON, false);
        assertEquals(ShardGraph.Status.DONE, graph.status("p"));
        graph.list(List.of(open("a", "p")), Position.HORIZON, false);
        assertNull(graph.status("p"));
    }

    @Test
    void aShardThatCameBackWaitsForAParentThatIsReadAgain() {
        graph.list(List.of(closed("p"), open("a", "p")), Position.HORIZON, false);
        read("p");
        graph.drained("p");
        read("a");
        graph.done("p");
        graph.unread("a");
        graph.reading("p", Position.after("5"));
        assertEquals(List.of(), ready());
    }
}
