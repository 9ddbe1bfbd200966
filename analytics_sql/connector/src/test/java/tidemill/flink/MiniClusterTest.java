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
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;
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

    private static StreamExecutionEnvironment environment(int parallelism, Path folder) {
        Configuration configuration = new Configuration();
        configuration.setString("execution.checkpointing.interval", "100 ms");
        configuration.setString("execution.checkpointing.dir", folder.toUri().toString());
        configuration.setString("pipeline.auto-watermark-interval", "10 ms");
        configuration.setString("restart-strategy.type", "fixed-delay");
        configuration.setString("restart-strategy.fixed-delay.attempts", "5");
        configuration.setString("restart-strategy.fixed-delay.delay", "10 ms");
        configuration.setString("rest.bind-address", "127.0.0.1");
        return StreamExecutionEnvironment.createLocalEnvironment(parallelism, configuration);
    }

    private static KinesisSource<String> source() {
        KinesisSource.Settings settings =
                new KinesisSource.Settings(
                        new Beginning(Beginning.Kind.TRIM_HORIZON, 0),
                        50,
                        new ReadingPace(20, 20, Long.MAX_VALUE),
                        new ReadLimits(2, 7, 1_000_000, true));
        return new KinesisSource<>(() -> in, settings, new Keys(), new ArrivalWatermarks<>(1000));
    }

    /** Counts records, and those that are late. */
    private static final class Lateness extends ProcessFunction<String, String> {
        private static final long serialVersionUID = 1L;
        private static final AtomicInteger RECORDS = new AtomicInteger();
        private static final AtomicInteger LATE = new AtomicInteger();

        @Override
        public void processElement(String key, Context context, Collector<String> rows) {
            if (context.timestamp() <= context.timerService().currentWatermark()) {
                LATE.incrementAndGet();
            }
            RECORDS.incrementAndGet();
        }
    }

    private static void await(JobClient job, AtomicInteger count, int wanted) throws Exception {
        while (count.get() < wanted) {
            assertTrue(!job.getJobStatus().get().isGloballyTerminalState(), "the job has ended");
            Thread.sleep(10);
        }
    }

    @Test
    @Timeout(value = 100, unit = TimeUnit.SECONDS)
    void childrenThatAreFoundLongAfterTheirParentEndedAreNotLate(@TempDir Path folder) throws Exception {
        in = new MadeStream().shard("p").shard("idle");
        Lateness.RECORDS.set(0);
        Lateness.LATE.set(0);
        long old = in.now;
        round("p");
        in.close("p");
        in.now = old + 3_600_000; // the idle shard's tip is an hour ahead
        StreamExecutionEnvironment environment = environment(1, folder);
        environment
                .fromSource(source(), WatermarkStrategy.noWatermarks(), "in")
                .process(new Lateness())
                .sinkTo(new DiscardingSink<>());
        JobClient job = environment.executeAsync();
        await(job, Lateness.RECORDS, KEYS);
        Thread.sleep(500); // the parent is drained, and its children are not there yet
        synchronized (in) {
            in.now = old + 1_000;
            in.shard("x", "p").shard("y", "p");
            round("x");
            round("y");
            in.now = old + 3_600_000;
        }
        await(job, Lateness.RECORDS, 3 * KEYS);
        round("idle");
        await(job, Lateness.RECORDS, 4 * KEYS);
        job.cancel().get();
        assertEquals(0, Lateness.LATE.get());
    }

    @Test
    @Timeout(value = 100, unit = TimeUnit.SECONDS)
    void failuresAndASplitNeitherLoseNorRepeatARecordAndKeepEachKeysOrder(@TempDir Path folder) throws Exception {
        in = new MadeStream().shard("p").shard("idle");
        out = new MadeStream();
        FAILURES.set(0);
        StreamExecutionEnvironment environment = environment(2, folder);
        environment
                .fromSource(source(), WatermarkStrategy.noWatermarks(), "in")
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
