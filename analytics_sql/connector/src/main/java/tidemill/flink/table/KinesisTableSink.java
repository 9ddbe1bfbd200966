package tidemill.flink.table;

import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.EncodingFormat;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.sink.SinkV2Provider;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import tidemill.flink.kinesis.AwsStream;
import tidemill.flink.kinesis.StreamAddress;
import tidemill.flink.sink.KinesisSink;

/** The table as a sink, which takes inserts only. */
final class KinesisTableSink implements DynamicTableSink {
    private final CheckedOptions options;
    private final EncodingFormat<SerializationSchema<RowData>> format;
    private final DataType physical;
    private final int keyColumn;

    KinesisTableSink(
            CheckedOptions options,
            EncodingFormat<SerializationSchema<RowData>> format,
            DataType physical,
            int keyColumn) {
        this.options = options;
        this.format = format;
        this.physical = physical;
        this.keyColumn = keyColumn;
    }

    @Override
    public ChangelogMode getChangelogMode(ChangelogMode requested) {
        return ChangelogMode.insertOnly();
    }

    @Override
    public SinkRuntimeProvider getSinkRuntimeProvider(Context context) {
        RowEncoder encoder = new RowEncoder(format.createRuntimeEncoder(context, physical), keyColumn);
        StreamAddress address = options.address();
        return SinkV2Provider.of(new KinesisSink<>(() -> new AwsStream(address), options.sink(), encoder));
    }

    @Override
    public DynamicTableSink copy() {
        return new KinesisTableSink(options, format, physical, keyColumn);
    }

    @Override
    public String asSummaryString() {
        return KinesisTableFactory.IDENTIFIER;
    }
}
