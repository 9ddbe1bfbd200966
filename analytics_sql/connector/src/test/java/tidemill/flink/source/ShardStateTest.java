package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.Position;

class ShardStateTest {
    private final ShardState<String> state =
            new ShardState<>(new ShardSplit("s", Position.HORIZON), new NoWatermarks<String>().create(null));

    private void handOn(String sequence, int number, boolean isLast, long arrival) {
        state.handedOn(new Element.Arrival("s", arrival, sequence, number, isLast, "k", "lane-0", new byte[0]));
    }

    @Test
    void insideAnAggregateThePlaceSaysHowManyAreDone() {
        assertEquals(Position.HORIZON, state.split().position());
        handOn("7", 0, false, 0);
        handOn("7", 1, false, 0);
        assertEquals(Position.inside("7", 2), state.split().position());
        handOn("7", 2, true, 0);
        assertEquals(Position.after("7"), state.split().position());
    }

    @Test
    void whatCannotBeReadIsBehindThePlace() {
        handOn("7", 0, true, 0);
        state.passedOver(new Element.Unreadable("s", "8", "corrupt"));
        assertEquals(Position.after("8"), state.split().position());
        state.passedOver(new Element.Unreadable("s", "", "records are gone"));
        assertEquals(Position.after("8"), state.split().position());
    }
}
