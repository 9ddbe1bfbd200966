package tidemill.flink.table;

import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.ProviderContext;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DataStreamScanProvider;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.connector.source.abilities.SupportsReadingMetadata;
import org.apache.flink.table.connector.source.abilities.SupportsSourceWatermark;
import org.apache.flink.table.connector.source.abilities.SupportsWatermarkPushDown;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.DataType;
import tidemill.flink.kinesis.AwsStream;
import tidemill.flink.kinesis.StreamAddress;
import tidemill.flink.source.ArrivalWatermarks;
import tidemill.flink.source.KinesisSource;
import tidemill.flink.source.NoWatermarks;
import tidemill.flink.source.Watermarks;

/** The table as a source: physical columns by the format, then metadata columns; watermarks for each shard. */
final class KinesisTableSource
        implements ScanTableSource, SupportsReadingMetadata, SupportsSourceWatermark, SupportsWatermarkPushDown {
    private final CheckedOptions options;
    private final DecodingFormat<DeserializationSchema<RowData>> format;
    private final DataType physical;

    private DataType produced;
    private List<Metadata> metadata = List.of();
    private boolean makesWatermarks;

    /** What the table declares; null if it declares nothing. */
    private WatermarkStrategy<RowData> declared;

    KinesisTableSource(
            CheckedOptions options, DecodingFormat<DeserializationSchema<RowData>> format, DataType physical) {
        this.options = options;
        this.format = format;
        this.physical = physical;
        produced = physical;
    }

    @Override
    public ChangelogMode getChangelogMode() {
        return format.getChangelogMode();
    }

    @Override
    public Map<String, DataType> listReadableMetadata() {
        return Metadata.types();
    }

    @Override
    public void applyReadableMetadata(List<String> keys, DataType type) {
        metadata = Metadata.of(keys);
        produced = type;
    }

    @Override
    public void applySourceWatermark() {
        makesWatermarks = true;
    }

    @Override
    public void applyWatermark(WatermarkStrategy<RowData> strategy) {
        declared = strategy;
    }

    @Override
    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
        TypeInformation<RowData> type = context.createTypeInformation(produced);
        RowDecoder decoder = new RowDecoder(format.createRuntimeDecoder(context, physical), metadata, type);
        StreamAddress address = options.address();
        KinesisSource<RowData> source =
                new KinesisSource<>(() -> new AwsStream(address), options.source(), decoder, watermarks());
        return new DataStreamScanProvider() {
            @Override
            public DataStream<RowData> produceDataStream(ProviderContext provider, StreamExecutionEnvironment env) {
                var stream = env.fromSource(source, WatermarkStrategy.noWatermarks(), "tidemill-kinesis " + address.arn());
                provider.generateUid("source").ifPresent(stream::uid);
                return stream;
            }

            @Override
            public boolean isBounded() {
                return false;
            }
        };
    }

    private Watermarks<RowData> watermarks() {
        if (makesWatermarks) {
            return new ArrivalWatermarks<>(options.watermarkDelay());
        }
        int columns = DataType.getFieldCount(physical);
        return declared == null ? new NoWatermarks<>() : new DeclaredWatermarks(declared, columns, metadata);
    }

    @Override
    public DynamicTableSource copy() {
        KinesisTableSource copy = new KinesisTableSource(options, format, physical);
        copy.produced = produced;
        copy.metadata = metadata;
        copy.makesWatermarks = makesWatermarks;
        copy.declared = declared;
        return copy;
    }

    @Override
    public String asSummaryString() {
        return KinesisTableFactory.IDENTIFIER;
    }
}
