package tidemill.flink.source;

import java.io.Serializable;
import org.apache.flink.api.common.eventtime.WatermarkGeneratorSupplier;
import org.apache.flink.api.common.eventtime.WatermarkOutput;

/** Makes the watermark of each shard. */
public interface Watermarks<T> extends Serializable {
    /** One shard's watermark. */
    interface OfShard<T> {
        /** Takes note of a row and its record's arrival, in milliseconds since 1970. */
        void row(T row, long arrival);

        /**
         * Emits the watermark if it has risen.
         *
         * @param tip the service's time at the shard's tip in milliseconds since 1970; 0 if the tip was not reached
         */
        void pause(long tip, WatermarkOutput output);
    }

    /** The watermark of another shard. */
    OfShard<T> create(WatermarkGeneratorSupplier.Context context);
}
