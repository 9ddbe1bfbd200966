package tidemill.flink.table;

import java.net.URI;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.Locale;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import tidemill.flink.kinesis.StreamAddress;
import tidemill.flink.sink.KinesisSink;
import tidemill.flink.source.Beginning;
import tidemill.flink.source.KinesisSource;
import tidemill.flink.source.ReadLimits;
import tidemill.flink.source.ReadingPace;

/** A table's options, checked: each error names the option, what it is, and what it may be. No I/O. */
final class CheckedOptions {
    private static final int MOST_READ_RECORDS = 10_000;
    private static final int MOST_CALL_RECORDS = 500;

    private final ReadableConfig options;

    CheckedOptions(ReadableConfig options) {
        this.options = options;
    }

    StreamAddress address() {
        String arn = options.get(ConnectorOptions.ARN);
        String region = StreamAddress.regionOf(arn);
        if (region == null) {
            throw bad(ConnectorOptions.ARN, arn, "use a stream's ARN, arn:aws:kinesis:REGION:ACCOUNT:stream/NAME");
        }
        String given = options.getOptional(ConnectorOptions.REGION).orElse(region);
        if (!given.equals(region)) {
            throw bad(ConnectorOptions.REGION, given, "the stream's ARN says " + region + "; leave it out");
        }
        return new StreamAddress(arn, region, options.getOptional(ConnectorOptions.ENDPOINT).map(this::url).orElse(null));
    }

    private String url(String text) {
        try {
            URI uri = URI.create(text);
            if (uri.getHost() != null && ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
                return text;
            }
        } catch (IllegalArgumentException error) {
            // told below
        }
        throw bad(ConnectorOptions.ENDPOINT, text, "use a URL, such as http://127.0.0.1:4566");
    }

    KinesisSource.Settings source() {
        ReadingPace pace =
                new ReadingPace(
                        millis(ConnectorOptions.READ_INTERVAL, ReadingPace.LEAST_MILLIS),
                        millis(ConnectorOptions.BEHIND_INTERVAL, ReadingPace.LEAST_MILLIS),
                        bytes(ConnectorOptions.BYTES_PER_SECOND));
        ReadLimits limits =
                new ReadLimits(
                        number(ConnectorOptions.READ_RECORDS, MOST_READ_RECORDS),
                        number(ConnectorOptions.BATCH_RECORDS, Integer.MAX_VALUE),
                        bytes(ConnectorOptions.BATCH_BYTES),
                        options.get(ConnectorOptions.ON_UNREADABLE) == ConnectorOptions.OnBad.FAIL);
        return new KinesisSource.Settings(beginning(), millis(ConnectorOptions.DISCOVERY, 1), pace, limits);
    }

    /** By how many milliseconds the watermark of each shard is behind, where the table says SOURCE_WATERMARK(). */
    long watermarkDelay() {
        return millis(ConnectorOptions.WATERMARK_DELAY, 0);
    }

    KinesisSink.Settings sink() {
        return new KinesisSink.Settings(
                number(ConnectorOptions.CALL_RECORDS, MOST_CALL_RECORDS),
                millis(ConnectorOptions.LINGER, 0),
                number(ConnectorOptions.BUFFERED_REQUESTS, Integer.MAX_VALUE),
                bytes(ConnectorOptions.BUFFERED_BYTES),
                options.get(ConnectorOptions.ON_UNWRITABLE) == ConnectorOptions.OnBad.FAIL);
    }

    private Beginning beginning() {
        String name = options.get(ConnectorOptions.POSITION);
        Beginning.Kind kind =
                Arrays.stream(Beginning.Kind.values())
                        .filter(one -> one.name().equals(name.toUpperCase(Locale.ROOT)))
                        .findFirst()
                        .orElseThrow(
                                () -> bad(ConnectorOptions.POSITION, name, "use TRIM_HORIZON, LATEST or AT_TIMESTAMP"));
        String timestamp = options.getOptional(ConnectorOptions.TIMESTAMP).orElse(null);
        if (kind != Beginning.Kind.AT_TIMESTAMP) {
            if (timestamp != null) {
                throw bad(ConnectorOptions.TIMESTAMP, timestamp, "it goes with source.init.position = 'AT_TIMESTAMP'");
            }
            return new Beginning(kind, 0);
        }
        if (timestamp == null) {
            throw new ValidationException("'source.init.timestamp' is missing: source.init.position = 'AT_TIMESTAMP' needs it");
        }
        return new Beginning(kind, millisOf(timestamp));
    }

    /** A time as the official connector takes it: ISO 8601 with an offset, or seconds since 1970. */
    private static long millisOf(String timestamp) {
        try {
            return timestamp.matches("[0-9]{1,12}([.][0-9]+)?")
                    ? (long) (Double.parseDouble(timestamp) * 1000)
                    : OffsetDateTime.parse(timestamp).toInstant().toEpochMilli();
        } catch (DateTimeException error) {
            throw bad(
                    ConnectorOptions.TIMESTAMP,
                    timestamp,
                    "use ISO 8601 with an offset, such as 2026-11-30T08:00:00.000Z, or seconds since 1970");
        }
    }

    private long millis(ConfigOption<Duration> option, long least) {
        Duration value = options.get(option);
        if (value.toMillis() < least) {
            throw bad(option, value.toMillis() + " ms", "use " + least + " ms or more");
        }
        return value.toMillis();
    }

    private int number(ConfigOption<Integer> option, int most) {
        int value = options.get(option);
        if (value < 1 || value > most) {
            throw bad(option, value, "use 1 to " + most);
        }
        return value;
    }

    private long bytes(ConfigOption<MemorySize> option) {
        MemorySize value = options.get(option);
        if (value.getBytes() < 1) {
            throw bad(option, value, "use 1 byte or more, such as 1 mb");
        }
        return value.getBytes();
    }

    static ValidationException bad(ConfigOption<?> option, Object value, String advice) {
        return new ValidationException("'" + option.key() + "' = '" + value + "': " + advice);
    }
}
