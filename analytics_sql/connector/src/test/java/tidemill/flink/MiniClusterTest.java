package tidemill.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tidemill.flink.contract.Aggregates;
import tidemill.flink.contract.UserRecord;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.sink.KinesisSink;
import tidemill.flink.sink.RequestEncoder;
import tidemill.flink.source.ArrivalWatermarks;
import tidemill.flink.source.Beginning;
import tidemill.flink.source.Element;
import tidemill.flink.source.KinesisSource;
import tidemill.flink.source.ReadLimits;
import tidemill.flink.source.ReadingPace;
import tidemill.flink.source.RecordDecoder;

/** Source and sink in Flink's own cluster, over streams in memory, with failures and a split. */
class MiniClusterTest {
    private static final int KEYS = 20;
    private static final int ROUNDS = 60;

    // Flink copies what a job is made of, so what it shares with the test is static.
    private static MadeStream in;
    private static MadeStream out;
    private static final AtomicInteger FAILURES = new AtomicInteger();

    private static final class Keys implements RecordDecoder<String> {
        private static final long serialVersionUID = 1L;

        @Override
        public void open(DeserializationSchema.InitializationContext context) {}

        @Override
        public void decode(Element.Arrival record, List<String> rows) {
            rows.add(record.key());
        }

        @Override
        public TypeInformation<String> getProducedType() {
            return Types.STRING;
        }
    }

    /** Numbers each key's records from 1, and fails after each of the first two checkpoints. */
    private static final class Numbering extends RichMapFunction<String, String> implements CheckpointListener {
        private static final long serialVersionUID = 1L;

        private transient ValueState<Integer> count;
        private transient boolean isDue;

        @Override
        public void open(OpenContext context) {
            count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.INT));
        }

        @Override
        public String map(String key) throws Exception {
            if (isDue && FAILURES.getAndUpdate(one -> Math.min(2, one + 1)) < 2) {
                throw new IllegalStateException("a failure that the test makes");
            }
            int next = count.value() == null ? 1 : count.value() + 1;
            count.update(next);
            return key + ":" + next;
        }

        @Override
        public void notifyCheckpointComplete(long checkpoint) {
            isDue = true;
        }
    }

    private static final class Texts implements RequestEncoder<String> {
        private static final long serialVersionUID = 1L;

        @Override
        public void open(SerializationSchema.InitializationContext context) {}

        @Override
        public String keyOf(String row) {
            return row.substring(0, row.indexOf(':'));
        }

        @Override
        public byte[] bytesOf(String row) {
            return row.getBytes();
        }
    }

    /** Each key's numbers as they were stored, without repeats. */
    private static Map<String, List<Integer>> stored() throws Exception {
        Map<String, LinkedHashSet<Integer>> found = new HashMap<>();
        synchronized (out) {
            for (var entry : out.stored) {
                for (UserRecord one : Aggregates.unpack(entry.data())) {
                    String[] parts = new String(one.data()).split(":");
                    found.computeIfAbsent(parts[0], key -> new LinkedHashSet<>()).add(Integer.valueOf(parts[1]));
                }
            }
        }
        Map<String, List<Integer>> lists = new HashMap<>();
        found.forEach((key, numbers) -> lists.put(key, new ArrayList<>(numbers)));
        return lists;
    }

    private static void round(String shard) {
        String[] keys = new String[KEYS];
        for (int number = 0; number < KEYS; number++) {
            keys[number] = "key-" + number;
        }
        in.now += 100;
        in.aggregate(shard, keys);
    }

    @Test
    @Timeout(value = 100, unit = TimeUnit.SECONDS)
    void failuresAndASplitNeitherLoseNorRepeatARecordAndKeepEachKeysOrder(@TempDir Path folder) throws Exception {
        in = new MadeStream().shard("p").shard("idle");
        out = new MadeStream();
        FAILURES.set(0);
        Configuration configuration = new Configuration();
        configuration.setString("execution.checkpointing.interval", "100 ms");
        configuration.setString("execution.checkpointing.dir", folder.toUri().toString());
        configuration.setString("restart-strategy.type", "fixed-delay");
        configuration.setString("restart-strategy.fixed-delay.attempts", "5");
        configuration.setString("restart-strategy.fixed-delay.delay", "10 ms");
        configuration.setString("rest.bind-address", "127.0.0.1");
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(2, configuration);
        KinesisSource<String> source =
                new KinesisSource<>(
                        () -> in,
                        new KinesisSource.Settings(
                                new Beginning(Beginning.Kind.TRIM_HORIZON, 0),
                                50,
                                new ReadingPace(20, 20, Long.MAX_VALUE),
                                new ReadLimits(2, 7, 1_000_000, true)),
                        new Keys(),
                        new ArrivalWatermarks<>(1000));
        environment
                .fromSource(source, WatermarkStrategy.noWatermarks(), "in")
                .keyBy(key -> key)
                .map(new Numbering())
                .sinkTo(new KinesisSink<>(() -> out, new KinesisSink.Settings(10, 5, 50, 10_000, true), new Texts()));
        JobClient job = environment.executeAsync();
        for (int number = 0; number < ROUNDS; number++) {
            if (number == ROUNDS / 2) {
                in.close("p");
                in.shard("x", "p").shard("y", "p");
            }
            round(number < ROUNDS / 2 ? "p" : "x");
            Thread.sleep(30); // while the job runs, fails and restarts
        }
        Map<String, List<Integer>> found = stored();
        while (found.size() < KEYS || found.values().stream().anyMatch(one -> one.size() < ROUNDS)) {
            assertTrue(!job.getJobStatus().get().isGloballyTerminalState(), "the job has ended");
            Thread.sleep(50);
            found = stored();
        }
        job.cancel().get();
        assertEquals(2, FAILURES.get());
        List<Integer> all = new ArrayList<>();
        for (int number = 1; number <= ROUNDS; number++) {
            all.add(number);
        }
        for (List<Integer> numbers : found.values()) {
            assertEquals(all, numbers);
        }
    }
}
