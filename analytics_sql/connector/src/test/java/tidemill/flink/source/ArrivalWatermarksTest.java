package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.junit.jupiter.api.Test;

class ArrivalWatermarksTest {
    private final List<Long> emitted = new ArrayList<>();
    private final Watermarks.OfShard<String> shard = new ArrivalWatermarks<String>(1000).create(null);

    private final WatermarkOutput output =
            new WatermarkOutput() {
                @Override
                public void emitWatermark(Watermark watermark) {
                    emitted.add(watermark.getTimestamp());
                }

                @Override
                public void markIdle() {
                    throw new IllegalStateException("a shard is not idle");
                }

                @Override
                public void markActive() {}
            };

    @Test
    void aShardThatIsBehindHasTheWatermarkOfItsNewestRecord() {
        shard.pause(0, output);
        assertEquals(List.of(), emitted);
        shard.row("a", 50_000);
        shard.row("b", 49_500);
        shard.pause(0, output);
        shard.pause(0, output); // behind, throttled or in error: it stays
        assertEquals(List.of(48_999L), emitted);
    }

    @Test
    void anEmptyShardAtItsTipFollowsTheServicesTime() {
        shard.pause(60_000, output);
        shard.pause(62_000, output);
        shard.pause(61_000, output); // a watermark never falls
        assertEquals(List.of(58_999L, 60_999L), emitted);
    }
}
