package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import org.apache.flink.api.common.eventtime.Watermark;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.Position;

class ShardStateTest {
    private final ShardState state = new ShardState(new ShardSplit("s", Position.HORIZON));

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

    @Test
    void aShardThatIsBehindHasTheWatermarkOfItsNewestRecord() {
        assertNull(state.watermark(0, 1000));
        handOn("7", 0, true, 50_000);
        handOn("8", 0, true, 49_500);
        assertEquals(new Watermark(48_999), state.watermark(0, 1000));
        assertNull(state.watermark(0, 1000)); // behind, throttled or in error: it stays
    }

    @Test
    void anEmptyShardAtItsTipFollowsTheServicesTime() {
        assertEquals(new Watermark(58_999), state.watermark(60_000, 1000));
        assertEquals(new Watermark(60_999), state.watermark(62_000, 1000));
        assertNull(state.watermark(61_000, 1000)); // a watermark never falls
    }
}
