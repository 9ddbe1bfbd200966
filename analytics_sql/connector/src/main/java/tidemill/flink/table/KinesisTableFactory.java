package tidemill.flink.table;

import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.format.EncodingFormat;
import org.apache.flink.table.connector.sink.DynamicTableSink;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableSinkFactory;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.factories.SerializationFormatFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalTypeFamily;

/** Makes tables of {@code 'connector' = 'tidemill-kinesis'}. */
public final class KinesisTableFactory implements DynamicTableSourceFactory, DynamicTableSinkFactory {
    static final String IDENTIFIER = "tidemill-kinesis";

    @Override
    public String factoryIdentifier() {
        return IDENTIFIER;
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return ConnectorOptions.REQUIRED;
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return ConnectorOptions.OPTIONAL;
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        DecodingFormat<DeserializationSchema<RowData>> format =
                helper.discoverDecodingFormat(DeserializationFormatFactory.class, FactoryUtil.FORMAT);
        helper.validate();
        CheckedOptions options = new CheckedOptions(helper.getOptions());
        options.address();
        options.source();
        options.watermarkDelay();
        return new KinesisTableSource(options, format, context.getPhysicalRowDataType());
    }

    @Override
    public DynamicTableSink createDynamicTableSink(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        EncodingFormat<SerializationSchema<RowData>> format =
                helper.discoverEncodingFormat(SerializationFormatFactory.class, FactoryUtil.FORMAT);
        helper.validate();
        CheckedOptions options = new CheckedOptions(helper.getOptions());
        options.address();
        options.sink();
        DataType physical = context.getPhysicalRowDataType();
        String column = helper.getOptions().get(ConnectorOptions.KEY_COLUMN);
        return new KinesisTableSink(options, format, physical, keyColumn(physical, column));
    }

    private static int keyColumn(DataType physical, String name) {
        int place = DataType.getFieldNames(physical).indexOf(name);
        if (place < 0) {
            String advice = "the table has no such column, only " + DataType.getFieldNames(physical);
            throw CheckedOptions.bad(ConnectorOptions.KEY_COLUMN, name, advice);
        }
        DataType type = DataType.getFieldDataTypes(physical).get(place);
        if (!type.getLogicalType().is(LogicalTypeFamily.CHARACTER_STRING)) {
            throw CheckedOptions.bad(ConnectorOptions.KEY_COLUMN, name, "the column is no STRING but " + type);
        }
        return place;
    }
}
