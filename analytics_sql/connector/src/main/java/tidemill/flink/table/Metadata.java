package tidemill.flink.table;

import java.io.Serializable;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.DataType;
import tidemill.flink.source.Element.Arrival;

/** The metadata columns. */
enum Metadata {
    ARRIVAL("arrival", DataTypes.TIMESTAMP_LTZ(3).notNull(), one -> TimestampData.fromEpochMillis(one.arrival())),
    SHARD("shard", DataTypes.STRING().notNull(), one -> StringData.fromString(one.shard())),
    SEQUENCE("sequence", DataTypes.STRING().notNull(), one -> StringData.fromString(one.sequence())),
    SUB_SEQUENCE("sub_sequence", DataTypes.BIGINT().notNull(), one -> (long) one.number()),
    PARTITION_KEY("partition_key", DataTypes.STRING().notNull(), one -> StringData.fromString(one.key())),
    RECORD_PARTITION_KEY(
            "record_partition_key", DataTypes.STRING().notNull(), one -> StringData.fromString(one.recordKey()));

    interface Reading extends Serializable {
        Object of(Arrival arrival);
    }

    final String key;
    final DataType type;
    final Reading reading;

    Metadata(String key, DataType type, Reading reading) {
        this.key = key;
        this.type = type;
        this.reading = reading;
    }

    static Map<String, DataType> types() {
        Map<String, DataType> types = new LinkedHashMap<>();
        Arrays.stream(values()).forEach(one -> types.put(one.key, one.type));
        return types;
    }

    /** These columns of a record, in their order. */
    static RowData row(List<Metadata> columns, Arrival record) {
        GenericRowData row = new GenericRowData(columns.size());
        for (int place = 0; place < columns.size(); place++) {
            row.setField(place, columns.get(place).reading.of(record));
        }
        return row;
    }

    static List<Metadata> of(List<String> keys) {
        return keys.stream()
                .map(key -> Arrays.stream(values()).filter(one -> one.key.equals(key)).findFirst().orElseThrow())
                .toList();
    }
}
