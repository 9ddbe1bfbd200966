package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.Position;

class ShardStatesTest {
    @Test
    void aSplitComesBackAsItWas() throws IOException {
        ShardStates.OfSplits serializer = new ShardStates.OfSplits();
        for (Position position :
                List.of(Position.HORIZON, Position.at(7), Position.after("49"), Position.inside("50", 3), Position.END)) {
            ShardSplit split = new ShardSplit("shardId-1", position);
            assertEquals(split, serializer.deserialize(serializer.getVersion(), serializer.serialize(split)));
        }
    }

    @Test
    void theEnumeratorsShardsComeBackAsTheyWere() throws IOException {
        Map<String, ShardGraph.Entry> shards = new LinkedHashMap<>();
        shards.put("a", new ShardGraph.Entry(List.of(), ShardGraph.Status.DRAINED, Position.HORIZON));
        shards.put("b", new ShardGraph.Entry(List.of("a", "z"), ShardGraph.Status.WAITING, Position.at(7)));
        EnumeratorState state = new EnumeratorState(true, shards);
        ShardStates.OfShards serializer = new ShardStates.OfShards();
        assertEquals(state, serializer.deserialize(serializer.getVersion(), serializer.serialize(state)));
    }

    @Test
    void anotherVersionIsRefused() {
        assertThrows(IOException.class, () -> new ShardStates.OfSplits().deserialize(2, new byte[0]));
    }
}
