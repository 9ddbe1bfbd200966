package tidemill.flink.source;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.metrics.groups.SplitEnumeratorMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;

/** What an enumerator is given, with its calls made when the test says so. */
final class MadeContext implements SplitEnumeratorContext<ShardSplit> {
    private final int parallelism;
    private final Map<Integer, ReaderInfo> readers = new HashMap<>();
    private final List<Runnable> calls = new ArrayList<>();
    private Runnable periodic = () -> {};

    /** What was assigned and sent, in order, such as "0 < s" and "0 ! Released[shard=s]". */
    final List<String> told = new ArrayList<>();

    MadeContext(int parallelism) {
        this.parallelism = parallelism;
    }

    void register(int subtask, ShardSplit... reported) {
        readers.put(subtask, ReaderInfo.createReaderInfo(subtask, "here", List.of(reported)));
    }

    void unregister(int subtask) {
        readers.remove(subtask);
    }

    /** Makes the periodic call. */
    void tick() {
        periodic.run();
    }

    /** Makes the calls that were asked for since the last time. */
    void run() {
        List<Runnable> waiting = List.copyOf(calls);
        calls.clear();
        waiting.forEach(Runnable::run);
    }

    List<String> takeTold() {
        List<String> taken = List.copyOf(told);
        told.clear();
        return taken;
    }

    @Override
    public SplitEnumeratorMetricGroup metricGroup() {
        return UnregisteredMetricsGroup.createSplitEnumeratorMetricGroup();
    }

    @Override
    public void sendEventToSourceReader(int subtask, SourceEvent event) {
        told.add(subtask + " ! " + event);
    }

    @Override
    public int currentParallelism() {
        return parallelism;
    }

    @Override
    public Map<Integer, ReaderInfo> registeredReaders() {
        return readers;
    }

    @Override
    public void assignSplits(SplitsAssignment<ShardSplit> assignment) {
        new TreeMap<>(assignment.assignment())
                .forEach((subtask, splits) -> splits.forEach(
                        one -> told.add(subtask + " < " + one.shard() + " " + one.position().kind())));
    }

    @Override
    public void signalNoMoreSplits(int subtask) {
        throw new IllegalStateException("a stream has no end");
    }

    @Override
    public <T> void callAsync(Callable<T> call, BiConsumer<T, Throwable> handler) {
        calls.add(() -> make(call, handler));
    }

    @Override
    public <T> void callAsync(Callable<T> call, BiConsumer<T, Throwable> handler, long delay, long period) {
        periodic = () -> make(call, handler);
    }

    @Override
    public void runInCoordinatorThread(Runnable runnable) {
        runnable.run();
    }

    @Override
    public void setIsProcessingBacklog(boolean isBacklog) {}

    private static <T> void make(Callable<T> call, BiConsumer<T, Throwable> handler) {
        T answer;
        try {
            answer = call.call();
        } catch (Exception error) {
            handler.accept(null, error);
            return;
        }
        handler.accept(answer, null);
    }
}
