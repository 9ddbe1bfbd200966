package tidemill.flink.table;

import java.util.List;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkGeneratorSupplier;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.utils.JoinedRowData;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tidemill.flink.source.Element;
import tidemill.flink.source.Watermarks;

/**
 * Watermarks by the expression that the table declares, for each shard.
 *
 * <p>At a shard's tip the expression is asked of a row that arrives then and has nothing but its metadata. By arrival it
 * gives the watermark; by a column of the data it gives none, and the shard waits for rows, or for its idle time-out.
 *
 * @param columns number of physical columns, which stand before the metadata
 */
record DeclaredWatermarks(WatermarkStrategy<RowData> strategy, int columns, List<Metadata> metadata)
        implements Watermarks<RowData> {
    private static final Logger LOG = LoggerFactory.getLogger(DeclaredWatermarks.class);

    @Override
    public OfShard<RowData> create(WatermarkGeneratorSupplier.Context context) {
        WatermarkGenerator<RowData> generator = strategy.createWatermarkGenerator(context);
        return new OfShard<>() {
            private boolean asksAtTips = true;

            @Override
            public void row(RowData row, long arrival) {
                generator.onEvent(row, arrival, NOWHERE);
            }

            @Override
            public void pause(long tip, WatermarkOutput output) {
                if (tip > 0 && asksAtTips) {
                    ask(tip);
                }
                generator.onPeriodicEmit(output);
            }

            private void ask(long tip) {
                try {
                    generator.onEvent(rowAt(tip), tip, NOWHERE);
                } catch (RuntimeException error) {
                    asksAtTips = false; // it reads a column that is NOT NULL
                    LOG.info("Shards without rows have no watermark: it is none of the arrival alone", error);
                }
            }
        };
    }

    private RowData rowAt(long tip) {
        Element.Arrival record = new Element.Arrival("", tip, "", 0, true, "", "", new byte[0]);
        return new JoinedRowData(new GenericRowData(columns), Metadata.row(metadata, record));
    }

    /** The table's generators emit at pauses only. */
    private static final WatermarkOutput NOWHERE =
            new WatermarkOutput() {
                @Override
                public void emitWatermark(org.apache.flink.api.common.eventtime.Watermark watermark) {}

                @Override
                public void markIdle() {}

                @Override
                public void markActive() {}
            };
}
