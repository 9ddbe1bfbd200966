package tidemill.flink.sink;

import java.io.IOException;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.metrics.Counter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tidemill.flink.contract.Aggregates;

/** A subtask's writer: rows into requests, and all of them stored at each checkpoint. */
final class LaneWriter<T> implements SinkWriter<T> {
    private static final Logger LOG = LoggerFactory.getLogger(LaneWriter.class);

    /** docs/contract.md, "Every field". */
    private static final int MOST_KEY_CHARACTERS = 256;

    private static final int MOST_REQUEST_BYTES = 256 * 1024;

    private final RequestEncoder<T> encoder;
    private final Sending sending;
    private final boolean failsOnUnwritable;
    private final Counter unwritable;

    LaneWriter(RequestEncoder<T> encoder, Sending sending, boolean failsOnUnwritable, Counter unwritable) {
        this.encoder = encoder;
        this.sending = sending;
        this.failsOnUnwritable = failsOnUnwritable;
        this.unwritable = unwritable;
    }

    @Override
    public void write(T row, Context context) throws IOException, InterruptedException {
        String key = encoder.keyOf(row);
        byte[] request = encoder.bytesOf(row);
        String problem = problemOf(key, request);
        if (problem == null && !sending.add(key, request)) {
            problem = "it is too large for a record";
        }
        if (problem != null) {
            passOver(key, problem);
        }
    }

    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        sending.flush();
    }

    @Override
    public void close() throws Exception {
        sending.close();
    }

    private static String problemOf(String key, byte[] request) {
        if (key == null || key.isEmpty()) {
            return "its key is empty";
        }
        if (key.codePointCount(0, key.length()) > MOST_KEY_CHARACTERS) {
            return "its key has more than " + MOST_KEY_CHARACTERS + " characters";
        }
        if (request == null) {
            return "the format makes nothing of it";
        }
        if (Aggregates.isAggregate(request)) {
            return "it begins as an aggregate, which may not lie in another";
        }
        return request.length > MOST_REQUEST_BYTES ? "it has more than " + MOST_REQUEST_BYTES + " bytes" : null;
    }

    private void passOver(String key, String problem) throws IOException {
        unwritable.inc();
        String told = "a row of the key '" + key + "' cannot be put: " + problem;
        if (failsOnUnwritable) {
            throw new IOException(told + " (sink.on-unwritable = 'skip' passes over such rows)");
        }
        if (Long.bitCount(unwritable.getCount()) == 1) { // 1, 2, 4, ...: many of them would fill the log
            LOG.warn("{}; {} passed over so far", told, unwritable.getCount());
        }
    }
}
