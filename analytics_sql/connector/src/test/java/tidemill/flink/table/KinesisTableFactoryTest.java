package tidemill.flink.table;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.catalog.CatalogTable;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.ObjectIdentifier;
import org.apache.flink.table.catalog.ResolvedCatalogTable;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.table.factories.FactoryUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KinesisTableFactoryTest {
    private static final String ARN = "arn:aws:kinesis:eu-central-1:123456789012:stream/requests";

    private static ResolvedCatalogTable table(Map<String, String> more) {
        Map<String, String> options = new HashMap<>(Map.of("connector", "tidemill-kinesis", "format", "json"));
        options.put("stream.arn", ARN);
        options.putAll(more);
        options.values().removeIf(String::isEmpty);
        ResolvedSchema schema =
                ResolvedSchema.of(Column.physical("key", DataTypes.STRING()), Column.physical("n", DataTypes.BIGINT()));
        CatalogTable table =
                CatalogTable.newBuilder()
                        .schema(Schema.newBuilder().fromResolvedSchema(schema).build())
                        .options(options)
                        .build();
        return new ResolvedCatalogTable(table, schema);
    }

    private static Object source(Map<String, String> more) {
        return FactoryUtil.createDynamicTableSource(
                null,
                ObjectIdentifier.of("c", "d", "t"),
                table(more),
                Map.of(),
                new Configuration(),
                KinesisTableFactoryTest.class.getClassLoader(),
                false);
    }

    private static Object sink(Map<String, String> more) {
        return FactoryUtil.createDynamicTableSink(
                null,
                ObjectIdentifier.of("c", "d", "t"),
                table(more),
                Map.of(),
                new Configuration(),
                KinesisTableFactoryTest.class.getClassLoader(),
                false);
    }

    private static String told(Throwable error) {
        StringBuilder all = new StringBuilder();
        for (Throwable one = error; one != null; one = one.getCause()) {
            all.append(one.getMessage()).append('\n');
        }
        return all.toString();
    }

    @Test
    void aTableIsBothASourceAndASink() {
        assertNotNull(source(Map.of()));
        assertNotNull(sink(Map.of()));
    }

    @ParameterizedTest
    @CsvSource({
        "stream.arn, '', stream.arn",
        "stream.arn, requests, arn:aws:kinesis:REGION",
        "aws.region, us-east-1, the stream's ARN says eu-central-1",
        "aws.endpoint, 127.0.0.1:4566, http://127.0.0.1:4566",
        "source.init.position, OLDEST, TRIM_HORIZON",
        "source.init.position, AT_TIMESTAMP, source.init.timestamp",
        "source.init.timestamp, 2026-11-30T08:00:00Z, AT_TIMESTAMP",
        "source.shard.get-records.interval, 100 ms, 200 ms or more",
        "source.shard.get-records.behind-interval, 1 ms, 200 ms or more",
        "source.shard.get-records.max-record-count, 10001, 1 to 10000",
        "source.batch.max-bytes, 0 b, 1 byte or more",
        "source.on-unreadable, ignore, SKIP",
        "source.reader.type, EFO, source.reader.type",
    })
    void aWrongOptionOfASourceIsNamed(String option, String value, String advice) {
        String told = told(assertThrows(Exception.class, () -> source(Map.of(option, value))));
        assertTrue(told.contains(option) && told.contains(advice), told);
    }

    @ParameterizedTest
    @CsvSource({
        "sink.partition-key-column, nobody, 'only [key, n]'",
        "sink.partition-key-column, n, no STRING but BIGINT",
        "sink.batch.max-size, 501, 1 to 500",
        "sink.requests.max-buffered, 0, 1 to",
        "sink.on-unwritable, ignore, SKIP",
    })
    void aWrongOptionOfASinkIsNamed(String option, String value, String advice) {
        String told = told(assertThrows(Exception.class, () -> sink(Map.of(option, value))));
        assertTrue(told.contains(option) && told.contains(advice), told);
    }

    @ParameterizedTest
    @CsvSource({"2026-11-30T08:00:00.500Z", "2026-11-30T09:00:00.5+01:00", "1796025600.5"})
    void aTimestampIsTakenAsTheOfficialConnectorDoes(String timestamp) {
        Configuration options = new Configuration();
        options.set(ConnectorOptions.POSITION, "AT_TIMESTAMP");
        options.set(ConnectorOptions.TIMESTAMP, timestamp);
        assertEquals(1_796_025_600_500L, new CheckedOptions(options).source().beginning().millis());
    }

    @Test
    void theMetadataColumnsAreListed() {
        List<String> keys = List.copyOf(((KinesisTableSource) source(Map.of())).listReadableMetadata().keySet());
        assertEquals(
                List.of("arrival", "shard", "sequence", "sub_sequence", "partition_key", "record_partition_key"), keys);
    }
}
