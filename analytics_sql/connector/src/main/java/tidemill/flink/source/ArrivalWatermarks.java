package tidemill.flink.source;

import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGeneratorSupplier;
import org.apache.flink.api.common.eventtime.WatermarkOutput;

/**
 * Watermarks by arrival, less a delay. No I/O.
 *
 * <p>A shard that was read up to its tip has given all that arrived before the answer, so it follows the service's time
 * even without records. One that is behind, throttled or in error has no tip, and waits.
 *
 * @param delay by how many milliseconds arrivals of a shard may be out of order
 */
public record ArrivalWatermarks<T>(long delay) implements Watermarks<T> {
    @Override
    public OfShard<T> create(WatermarkGeneratorSupplier.Context context) {
        return new OfShard<>() {
            private long newest = Long.MIN_VALUE;
            private long watermark = Long.MIN_VALUE;

            @Override
            public void row(T row, long arrival) {
                newest = Math.max(newest, arrival);
            }

            @Override
            public void pause(long tip, WatermarkOutput output) {
                newest = tip == 0 ? newest : Math.max(newest, tip);
                if (newest != Long.MIN_VALUE && newest - delay - 1 > watermark) {
                    watermark = newest - delay - 1;
                    output.emitWatermark(new Watermark(watermark));
                }
            }
        };
    }
}
