package tidemill.flink.source;

import java.io.IOException;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsAddition;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsChange;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tidemill.flink.kinesis.KinesisException;
import tidemill.flink.kinesis.Refusal;
import tidemill.flink.kinesis.StreamApi;

/**
 * Reads a reader's shards, one call at a time, in a thread of Flink's own.
 *
 * <p>A shard is read when it is due and nothing of an earlier answer waits, so what is held is bounded by one answer and
 * the batches that Flink's queue takes.
 */
final class ShardReading implements SplitReader<Element, ShardSplit> {
    private static final Logger LOG = LoggerFactory.getLogger(ShardReading.class);
    private static final long LONGEST_WAIT = 1000;

    private final StreamApi stream;
    private final ReadingPace pace;
    private final ReadLimits limits;
    private final ReadMetrics metrics;
    private final Signal signal;
    private final Map<String, ShardCursor> cursors = new LinkedHashMap<>();

    /** The shard whose last answer has not been handed on whole; null if there is none. */
    private ShardCursor open;

    ShardReading(StreamApi stream, ReadingPace pace, ReadLimits limits, ReadMetrics metrics, Signal signal) {
        this.stream = stream;
        this.pace = pace;
        this.limits = limits;
        this.metrics = metrics;
        this.signal = signal;
    }

    @Override
    public RecordsWithSplitIds<Element> fetch() throws IOException {
        if (open != null) {
            return nextBatch(open);
        }
        Set<String> released = new HashSet<>(signal.takeReleased());
        released.retainAll(cursors.keySet());
        if (!released.isEmpty()) {
            released.forEach(cursors::remove);
            released.forEach(metrics::released);
            return ShardBatch.released(released);
        }
        ShardCursor due = cursors.values().stream()
                .filter(ShardCursor::isReadable)
                .min(Comparator.comparingLong(one -> one.dueAt))
                .orElse(null);
        long wait = due == null ? LONGEST_WAIT : due.dueAt - ReadMetrics.now();
        if (wait > 0) {
            await(Math.min(wait, LONGEST_WAIT));
            return ShardBatch.empty();
        }
        return read(due);
    }

    @Override
    public void handleSplitsChanges(SplitsChange<ShardSplit> change) {
        if (!(change instanceof SplitsAddition)) {
            throw new UnsupportedOperationException("shards are only added: " + change);
        }
        for (ShardSplit split : change.splits()) {
            ShardCursor cursor = new ShardCursor(split);
            cursor.dueAt = ReadMetrics.now();
            cursors.put(split.shard(), cursor);
        }
    }

    @Override
    public void pauseOrResumeSplits(Collection<ShardSplit> pause, Collection<ShardSplit> resume) {
        pause.forEach(one -> setPaused(one, true));
        resume.forEach(one -> setPaused(one, false));
    }

    private void setPaused(ShardSplit split, boolean isPaused) {
        ShardCursor cursor = cursors.get(split.shard());
        if (cursor != null) { // a released one is gone already
            cursor.isPaused = isPaused;
        }
    }

    @Override
    public void wakeUp() {
        signal.wake();
    }

    @Override
    public void close() {
        stream.close();
    }

    private RecordsWithSplitIds<Element> read(ShardCursor cursor) throws IOException {
        long begun = ReadMetrics.now();
        try {
            if (cursor.iterator == null) {
                cursor.iterator = stream.iterator(cursor.shard, cursor.position);
            }
            StreamApi.Page page = stream.read(cursor.iterator, limits.getRecords());
            cursor.answered(page, pace.afterAnswer(begun, page.millisBehind() > 0, page.bytes()));
            metrics.answered(cursor.shard, page.next() == null ? 0 : page.millisBehind(), begun);
            return nextBatch(cursor);
        } catch (KinesisException error) {
            return failed(cursor, error);
        }
    }

    private RecordsWithSplitIds<Element> failed(ShardCursor cursor, KinesisException error) throws IOException {
        Refusal refusal = error.refusal();
        metrics.refused(refusal);
        if (refusal.isGone()) {
            return gone(cursor, refusal);
        }
        if (!refusal.again() && !refusal.isExpiredIterator()) {
            throw new IOException("shard " + cursor.shard + " cannot be read: " + error.getMessage(), error);
        }
        double chance = ThreadLocalRandom.current().nextDouble();
        cursor.failed(!refusal.isExpiredIterator(), pace.afterFailure(ReadMetrics.now(), cursor.failures + 1, chance));
        LOG.warn("Shard {} will be read again after its failure {}", cursor.shard, cursor.failures, error);
        return ShardBatch.empty();
    }

    /** The shard is past the stream's retention, with what was not read of it. */
    private RecordsWithSplitIds<Element> gone(ShardCursor cursor, Refusal refusal) {
        cursor.isAtEnd = true;
        Element lost = new Element.Unreadable(cursor.shard, "", "the shard is no longer there: " + refusal);
        return ShardBatch.of(cursor.shard, List.of(lost, new Element.End()));
    }

    private RecordsWithSplitIds<Element> nextBatch(ShardCursor cursor) {
        List<Element> elements = cursor.unpacking.next(limits.batchRecords(), limits.batchBytes());
        boolean isWhole = cursor.unpacking.isEmpty();
        open = isWhole ? null : cursor;
        elements.add(new Element.Pause(isWhole ? cursor.tip : 0));
        if (isWhole && cursor.isAtEnd) {
            elements.add(new Element.End());
        }
        return ShardBatch.of(cursor.shard, elements);
    }

    private void await(long millis) throws IOException {
        try {
            signal.await(millis);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while waiting", error);
        }
    }
}
