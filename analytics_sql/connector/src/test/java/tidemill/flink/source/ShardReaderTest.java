package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.kinesis.Position;

@Timeout(value = 30, unit = TimeUnit.SECONDS)
class ShardReaderTest {
    private final MadeStream stream = new MadeStream().shard("s");
    private final List<SourceEvent> sent = new ArrayList<>();
    private final Output output = new Output();
    private final List<SourceReader<String, ShardSplit>> made = new ArrayList<>();

    private static final class Output implements ReaderOutput<String> {
        final List<String> rows = new ArrayList<>();
        int idles;

        @Override
        public void collect(String row) {
            throw new IllegalStateException("a row without its time");
        }

        @Override
        public void collect(String row, long timestamp) {
            rows.add(row);
        }

        @Override
        public void emitWatermark(Watermark watermark) {}

        @Override
        public void markIdle() {
            idles++;
        }

        @Override
        public void markActive() {}

        @Override
        public SourceOutput<String> createOutputForSplit(String split) {
            return this;
        }

        @Override
        public void releaseOutputForSplit(String split) {
            rows.add("released " + split);
        }
    }

    private static final class Texts implements RecordDecoder<String> {
        private static final long serialVersionUID = 1L;

        @Override
        public void open(DeserializationSchema.InitializationContext context) {}

        @Override
        public void decode(Element.Arrival record, List<String> rows) {
            rows.add(new String(record.data()));
        }

        @Override
        public TypeInformation<String> getProducedType() {
            return Types.STRING;
        }
    }

    private final SourceReaderContext context =
            new SourceReaderContext() {
                private final SourceReaderMetricGroup metrics =
                        UnregisteredMetricsGroup.createSourceReaderMetricGroup();

                @Override
                public SourceReaderMetricGroup metricGroup() {
                    return metrics;
                }

                @Override
                public Configuration getConfiguration() {
                    return new Configuration();
                }

                @Override
                public String getLocalHostName() {
                    return "here";
                }

                @Override
                public int getIndexOfSubtask() {
                    return 0;
                }

                @Override
                public void sendSplitRequest() {}

                @Override
                public void sendSourceEventToCoordinator(SourceEvent event) {
                    sent.add(event);
                }

                @Override
                public UserCodeClassLoader getUserCodeClassLoader() {
                    return SimpleUserCodeClassLoader.create(ShardReaderTest.class.getClassLoader());
                }
            };

    private SourceReader<String, ShardSplit> reader(ShardSplit... splits) throws Exception {
        KinesisSource<String> source =
                new KinesisSource<>(
                        () -> stream,
                        new KinesisSource.Settings(
                                new Beginning(Beginning.Kind.TRIM_HORIZON, 0),
                                1000,
                                new ReadingPace(5, 5, Long.MAX_VALUE),
                                new ReadLimits(10, 1000, 1_000_000, true)),
                        new Texts(),
                        new NoWatermarks<>());
        SourceReader<String, ShardSplit> reader = source.createReader(context);
        made.add(reader);
        reader.start();
        if (splits.length > 0) {
            reader.addSplits(List.of(splits));
        }
        return reader;
    }

    private void poll(SourceReader<String, ShardSplit> reader, int rows) throws Exception {
        while (output.rows.size() < rows) {
            reader.pollNext(output);
        }
    }

    @AfterEach
    void close() throws Exception {
        for (SourceReader<String, ShardSplit> one : made) {
            one.close();
        }
    }

    @Test
    void aCheckpointInsideAnAggregateNeitherRepeatsNorSkips() throws Exception {
        stream.aggregate("s", "a", "b", "c", "d");
        stream.aggregate("s", "e");
        SourceReader<String, ShardSplit> first = reader(new ShardSplit("s", Position.HORIZON));
        poll(first, 3);
        List<ShardSplit> checkpoint = first.snapshotState(1);
        assertEquals(List.of(new ShardSplit("s", Position.inside("101", 3))), checkpoint);
        poll(reader(checkpoint.toArray(ShardSplit[]::new)), 5);
        assertEquals(List.of("a", "b", "c", "d", "e"), output.rows);
    }

    @Test
    void aDrainedShardIsToldAndKeptUntilItIsReleased() throws Exception {
        stream.aggregate("s", "a");
        stream.close("s");
        SourceReader<String, ShardSplit> reader = reader(new ShardSplit("s", Position.HORIZON));
        while (sent.isEmpty()) {
            reader.pollNext(output);
        }
        assertEquals(List.of(new ShardEvents.Drained("s")), sent);
        assertEquals(List.of(new ShardSplit("s", Position.END)), reader.snapshotState(1));
        reader.handleSourceEvents(new ShardEvents.Released("s"));
        poll(reader, 2);
        assertEquals(List.of("a", "released s"), output.rows);
        assertEquals(List.of(), reader.snapshotState(2));
        assertEquals(1, output.idles);
    }

    @Test
    void aDrainedShardOfACheckpointIsToldAgain() throws Exception {
        reader(new ShardSplit("s", Position.END));
        assertEquals(List.of(new ShardEvents.Drained("s")), sent);
    }

    @Test
    void onlyAReaderWithoutShardsIsIdle() throws Exception {
        SourceReader<String, ShardSplit> without = reader();
        without.pollNext(output);
        assertEquals(0, output.idles); // it may yet be given some
        without.handleSourceEvents(new ShardEvents.AllAssigned());
        without.isAvailable().get();
        without.pollNext(output);
        without.pollNext(output);
        assertEquals(1, output.idles);
        SourceReader<String, ShardSplit> with = reader(new ShardSplit("s", Position.HORIZON));
        with.handleSourceEvents(new ShardEvents.AllAssigned());
        with.pollNext(output);
        assertEquals(1, output.idles);
    }
}
