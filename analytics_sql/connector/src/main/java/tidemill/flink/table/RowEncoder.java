package tidemill.flink.table;

import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.table.data.RowData;
import tidemill.flink.sink.RequestEncoder;

/** Requests by a format, with a column as their ordering key. */
final class RowEncoder implements RequestEncoder<RowData> {
    private static final long serialVersionUID = 1L;

    private final SerializationSchema<RowData> format;
    private final int keyColumn;

    RowEncoder(SerializationSchema<RowData> format, int keyColumn) {
        this.format = format;
        this.keyColumn = keyColumn;
    }

    @Override
    public void open(SerializationSchema.InitializationContext context) throws Exception {
        format.open(context);
    }

    @Override
    public String keyOf(RowData row) {
        return row.isNullAt(keyColumn) ? null : row.getString(keyColumn).toString();
    }

    @Override
    public byte[] bytesOf(RowData row) {
        return format.serialize(row);
    }
}
