package tidemill.flink.source;

import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.source.reader.RecordEmitter;
import org.apache.flink.connector.base.source.reader.SingleThreadMultiplexSourceReaderBase;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.core.io.InputStatus;

/** A subtask's reader. Drained shards stay with it, in checkpoints too, until the enumerator releases them. */
final class ShardReader<T> extends SingleThreadMultiplexSourceReaderBase<Element, T, ShardSplit, ShardState<T>> {
    private final Supplier<Watermarks.OfShard<T>> watermarks;
    private final Signal signal;
    private boolean isIdle;
    private boolean isToldIdle;

    ShardReader(
            Supplier<SplitReader<Element, ShardSplit>> reading,
            RecordEmitter<Element, T, ShardState<T>> emission,
            Configuration configuration,
            SourceReaderContext context,
            Supplier<Watermarks.OfShard<T>> watermarks,
            Signal signal) {
        super(reading, emission, configuration, context);
        this.watermarks = watermarks;
        this.signal = signal;
    }

    @Override
    public void addSplits(List<ShardSplit> splits) {
        isIdle = false;
        super.addSplits(splits);
        splits.stream().filter(one -> one.position().isEnd()).forEach(one -> drained(one.shard()));
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
        if (event instanceof ShardEvents.Released released) {
            signal.release(released.shard());
        } else if (event instanceof ShardEvents.AllAssigned) {
            isIdle = getNumberOfCurrentlyAssignedSplits() == 0;
            splitFetcherManager.getQueue().notifyAvailable(); // so that Flink polls it
        } else {
            throw new IllegalArgumentException("not an event of this source: " + event);
        }
    }

    @Override
    public InputStatus pollNext(ReaderOutput<T> output) throws Exception {
        if (isIdle && !isToldIdle) {
            output.markIdle(); // else a reader without shards would hold everybody's watermark back
            isToldIdle = true;
        }
        return super.pollNext(output);
    }

    /** Tells the enumerator that a shard has been handed on whole. */
    void drained(String shard) {
        context.sendSourceEventToCoordinator(new ShardEvents.Drained(shard));
    }

    @Override
    protected void onSplitFinished(Map<String, ShardState<T>> finished) {
        // The enumerator knows: it has released them.
    }

    @Override
    protected ShardState<T> initializedState(ShardSplit split) {
        return new ShardState<>(split, watermarks.get());
    }

    @Override
    protected ShardSplit toSplitType(String shard, ShardState<T> state) {
        return state.split();
    }
}
