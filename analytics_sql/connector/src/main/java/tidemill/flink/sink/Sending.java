package tidemill.flink.sink;

import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.function.ToIntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tidemill.flink.kinesis.KinesisException;
import tidemill.flink.kinesis.Refusal;
import tidemill.flink.kinesis.StreamApi;
import tidemill.flink.kinesis.StreamApi.Outcome;

/**
 * The thread that puts what an {@link Outbox} holds, one call at a time, and the bounds for those who fill it.
 *
 * <p>Every method but the thread's own is called by the task's thread. An error that lasts ends the thread; the next
 * call of a method throws it.
 */
final class Sending implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Sending.class);
    private static final long CLOSE_MILLIS = 5_000;

    private final StreamApi stream;
    private final Outbox outbox;
    private final long mostRequests;
    private final long mostBytes;
    private final Thread thread = new Thread(this::run, "tidemill-kinesis-sink");
    private PutMetrics metrics;
    private boolean isFlushing;
    private boolean isClosed;
    private IOException failure;

    /**
     * @param mostRequests requests that wait, at most, before {@link #add} waits
     * @param mostBytes bytes that wait, at most, before {@link #add} waits
     */
    Sending(StreamApi stream, Outbox outbox, long mostRequests, long mostBytes) {
        this.stream = stream;
        this.outbox = outbox;
        this.mostRequests = mostRequests;
        this.mostBytes = mostBytes;
        thread.setDaemon(true);
    }

    void start(PutMetrics counting) {
        metrics = counting;
        thread.start();
    }

    /** Adds a request; waits while the outbox is full. Returns whether any record can hold it. */
    synchronized boolean add(String key, byte[] request) throws IOException, InterruptedException {
        while (failure == null && (outbox.requests() >= mostRequests || outbox.bytes() >= mostBytes)) {
            isFlushing = true; // the room is full, so no record waits to be
            notifyAll();
            wait();
        }
        isFlushing = false;
        check();
        boolean isNext = outbox.leavesAt(false) == Long.MAX_VALUE;
        boolean isAdded = outbox.add(key, request, now());
        if (isNext || outbox.leavesAt(false) <= now()) {
            notifyAll();
        }
        return isAdded;
    }

    /** Returns when everything that was added is stored. */
    synchronized void flush() throws IOException, InterruptedException {
        while (failure == null && outbox.requests() > 0) {
            isFlushing = true;
            notifyAll();
            wait();
        }
        isFlushing = false;
        check();
    }

    synchronized long waiting() {
        return outbox.requests();
    }

    @Override
    public void close() throws InterruptedException {
        synchronized (this) {
            isClosed = true;
            notifyAll();
        }
        thread.interrupt();
        thread.join(CLOSE_MILLIS);
        stream.close();
    }

    private void check() throws IOException {
        if (failure != null) {
            throw new IOException(failure.getMessage(), failure);
        }
    }

    private void run() {
        try {
            List<LaneRecord> call = next();
            while (!call.isEmpty()) {
                settle(call, put(call));
                call = next();
            }
        } catch (InterruptedException error) {
            fail(new IOException("the sink was closed", error));
        } catch (IOException error) {
            fail(error);
        } catch (RuntimeException | Error error) {
            fail(new IOException("the sink's thread failed: " + error, error));
            throw error;
        }
    }

    private synchronized void fail(IOException error) {
        failure = error;
        notifyAll();
    }

    /** Waits for the next call; an empty one says that the sink is closed. */
    private synchronized List<LaneRecord> next() throws InterruptedException {
        while (!isClosed) {
            List<LaneRecord> call = outbox.take(now(), isFlushing);
            if (!call.isEmpty()) {
                return call;
            }
            long left = outbox.leavesAt(isFlushing);
            if (left == Long.MAX_VALUE) {
                wait();
            } else {
                wait(Math.max(1, left - now()));
            }
        }
        return List.of();
    }

    private List<Outcome> put(List<LaneRecord> call) throws IOException {
        long certainlyPast = stream.certainlyPast();
        call.forEach(one -> one.attempted(certainlyPast));
        try {
            return stream.put(call.stream().map(LaneRecord::entry).toList());
        } catch (KinesisException error) {
            if (!error.refusal().again()) {
                throw new IOException("requests cannot be put: " + error.getMessage(), error);
            }
            LOG.warn("A call of {} records will be put again", call.size(), error);
            return Collections.nCopies(call.size(), new Outcome(error.refusal()));
        }
    }

    private synchronized void settle(List<LaneRecord> call, List<Outcome> outcomes) throws IOException {
        for (int place = 0; place < call.size(); place++) {
            Outcome outcome = outcomes.get(place);
            int stored = outbox.settle(call.get(place), outcome, now());
            if (outcome.isStored()) {
                metrics.stored(stored);
            } else {
                refused(outcome.refusal());
            }
        }
        notifyAll();
    }

    private void refused(Refusal refusal) throws IOException {
        metrics.failed(refusal);
        if (!refusal.again()) {
            throw new IOException("a record cannot be put: " + refusal);
        }
    }

    private static long now() {
        return System.nanoTime() / 1_000_000;
    }
}
