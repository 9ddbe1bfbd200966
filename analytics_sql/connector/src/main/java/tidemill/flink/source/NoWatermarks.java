package tidemill.flink.source;

import org.apache.flink.api.common.eventtime.WatermarkGeneratorSupplier;
import org.apache.flink.api.common.eventtime.WatermarkOutput;

/** No watermarks: the table has none. */
public record NoWatermarks<T>() implements Watermarks<T> {
    @Override
    public OfShard<T> create(WatermarkGeneratorSupplier.Context context) {
        return new OfShard<>() {
            @Override
            public void row(T row, long arrival) {}

            @Override
            public void pause(long tip, WatermarkOutput output) {}
        };
    }
}
