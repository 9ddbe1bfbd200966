package tidemill.flink.table;

import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.utils.JoinedRowData;
import org.apache.flink.util.Collector;
import tidemill.flink.source.Element.Arrival;
import tidemill.flink.source.RecordDecoder;

/** Rows by a format, with the metadata columns behind the physical ones. */
final class RowDecoder implements RecordDecoder<RowData> {
    private static final long serialVersionUID = 1L;

    private final DeserializationSchema<RowData> format;
    private final List<Metadata> metadata;
    private final TypeInformation<RowData> produced;

    RowDecoder(DeserializationSchema<RowData> format, List<Metadata> metadata, TypeInformation<RowData> produced) {
        this.format = format;
        this.metadata = List.copyOf(metadata);
        this.produced = produced;
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) throws Exception {
        format.open(context);
    }

    @Override
    public void decode(Arrival record, List<RowData> rows) throws Exception {
        format.deserialize(record.data(), new Adding(record, rows));
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return produced;
    }

    private final class Adding implements Collector<RowData> {
        private final Arrival record;
        private final List<RowData> rows;

        Adding(Arrival record, List<RowData> rows) {
            this.record = record;
            this.rows = rows;
        }

        @Override
        public void collect(RowData row) {
            rows.add(metadata.isEmpty() ? row : new JoinedRowData(row.getRowKind(), row, Metadata.row(metadata, record)));
        }

        @Override
        public void close() {
            // nothing is open
        }
    }
}
