package tidemill.flink.table;

import java.time.Duration;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.table.factories.FactoryUtil;

/** The options of the table: their names are the official connector's where they mean the same. README.md lists them. */
final class ConnectorOptions {
    /** What happens to what cannot be read or put. */
    enum OnBad {
        SKIP,
        FAIL
    }

    static final ConfigOption<String> ARN = ConfigOptions.key("stream.arn").stringType().noDefaultValue();
    static final ConfigOption<String> REGION = ConfigOptions.key("aws.region").stringType().noDefaultValue();
    static final ConfigOption<String> ENDPOINT = ConfigOptions.key("aws.endpoint").stringType().noDefaultValue();

    static final ConfigOption<String> POSITION =
            ConfigOptions.key("source.init.position").stringType().defaultValue("LATEST");
    static final ConfigOption<String> TIMESTAMP = ConfigOptions.key("source.init.timestamp").stringType().noDefaultValue();
    static final ConfigOption<Duration> DISCOVERY =
            ConfigOptions.key("source.shard.discovery.interval").durationType().defaultValue(Duration.ofSeconds(10));
    static final ConfigOption<Integer> READ_RECORDS =
            ConfigOptions.key("source.shard.get-records.max-record-count").intType().defaultValue(10_000);
    static final ConfigOption<Duration> READ_INTERVAL =
            ConfigOptions.key("source.shard.get-records.interval").durationType().defaultValue(Duration.ofSeconds(1));
    static final ConfigOption<Duration> BEHIND_INTERVAL =
            ConfigOptions.key("source.shard.get-records.behind-interval")
                    .durationType()
                    .defaultValue(Duration.ofMillis(400));
    static final ConfigOption<MemorySize> BYTES_PER_SECOND =
            ConfigOptions.key("source.shard.max-bytes-per-second")
                    .memoryType()
                    .defaultValue(MemorySize.ofMebiBytes(2));
    static final ConfigOption<Integer> BATCH_RECORDS =
            ConfigOptions.key("source.batch.max-records").intType().defaultValue(5_000);
    static final ConfigOption<MemorySize> BATCH_BYTES =
            ConfigOptions.key("source.batch.max-bytes").memoryType().defaultValue(MemorySize.ofMebiBytes(1));
    static final ConfigOption<OnBad> ON_UNREADABLE =
            ConfigOptions.key("source.on-unreadable").enumType(OnBad.class).defaultValue(OnBad.SKIP);
    static final ConfigOption<Duration> WATERMARK_DELAY =
            ConfigOptions.key("source.watermark.delay").durationType().defaultValue(Duration.ofSeconds(1));

    static final ConfigOption<String> KEY_COLUMN =
            ConfigOptions.key("sink.partition-key-column").stringType().defaultValue("key");
    static final ConfigOption<Integer> CALL_RECORDS =
            ConfigOptions.key("sink.batch.max-size").intType().defaultValue(500);
    static final ConfigOption<Duration> LINGER =
            ConfigOptions.key("sink.flush-buffer.timeout").durationType().defaultValue(Duration.ofMillis(500));
    static final ConfigOption<Integer> BUFFERED_REQUESTS =
            ConfigOptions.key("sink.requests.max-buffered").intType().defaultValue(10_000);
    static final ConfigOption<MemorySize> BUFFERED_BYTES =
            ConfigOptions.key("sink.buffer.max-bytes").memoryType().defaultValue(MemorySize.ofMebiBytes(16));
    static final ConfigOption<OnBad> ON_UNWRITABLE =
            ConfigOptions.key("sink.on-unwritable").enumType(OnBad.class).defaultValue(OnBad.FAIL);

    static final Set<ConfigOption<?>> REQUIRED = Set.of(ARN, FactoryUtil.FORMAT);
    static final Set<ConfigOption<?>> OPTIONAL =
            Set.of(
                    REGION, ENDPOINT, POSITION, TIMESTAMP, DISCOVERY, READ_RECORDS, READ_INTERVAL, BEHIND_INTERVAL,
                    BYTES_PER_SECOND, BATCH_RECORDS, BATCH_BYTES, ON_UNREADABLE, WATERMARK_DELAY, KEY_COLUMN, CALL_RECORDS, LINGER,
                    BUFFERED_REQUESTS, BUFFERED_BYTES, ON_UNWRITABLE);

    private ConnectorOptions() {}
}
