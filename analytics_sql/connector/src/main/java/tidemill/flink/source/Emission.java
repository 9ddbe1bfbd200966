package tidemill.flink.source;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.connector.base.source.reader.RecordEmitter;
import org.apache.flink.metrics.Counter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Hands a shard's elements on, in the task's own thread: rows, watermarks, and where the shard stands. */
final class Emission<T> implements RecordEmitter<Element, T, ShardState<T>> {
    private static final Logger LOG = LoggerFactory.getLogger(Emission.class);

    private final RecordDecoder<T> decoder;
    private final boolean failsOnUnreadable;
    private final Counter unreadable;
    private final Counter elements;
    private final Consumer<String> drained;
    private final List<T> rows = new ArrayList<>();

    /**
     * @param unreadable counts what cannot be read
     * @param elements Flink's count of records, to which every element is added before it comes here
     * @param drained is told of each shard that has been handed on whole
     */
    Emission(
            RecordDecoder<T> decoder,
            boolean failsOnUnreadable,
            Counter unreadable,
            Counter elements,
            Consumer<String> drained) {
        this.decoder = decoder;
        this.failsOnUnreadable = failsOnUnreadable;
        this.unreadable = unreadable;
        this.elements = elements;
        this.drained = drained;
    }

    @Override
    public void emitRecord(Element element, SourceOutput<T> output, ShardState<T> state) throws IOException {
        if (element instanceof Element.Arrival arrival) {
            emit(arrival, output, state);
            state.handedOn(arrival);
            return;
        }
        elements.dec();
        if (element instanceof Element.Pause pause) {
            state.watermark.pause(pause.tip(), output);
        } else if (element instanceof Element.Unreadable lost) {
            passOver(lost, null);
            state.passedOver(lost);
        } else if (element instanceof Element.End) {
            state.ended();
            drained.accept(state.split().shard());
        } else if (element instanceof Element.Release) {
            output.markIdle();
        }
    }

    private void emit(Element.Arrival arrival, SourceOutput<T> output, ShardState<T> state) throws IOException {
        rows.clear();
        try {
            decoder.decode(arrival, rows);
            if (rows.isEmpty()) {
                passOver(unreadableOf(arrival, "the format makes no row of it"), null);
            }
        } catch (IOException | RuntimeException error) {
            rows.clear();
            passOver(unreadableOf(arrival, String.valueOf(error.getMessage())), error);
        } catch (Exception error) {
            throw new IOException(error);
        }
        for (T row : rows) {
            output.collect(row, arrival.arrival());
            state.watermark.row(row, arrival.arrival());
        }
    }

    private static Element.Unreadable unreadableOf(Element.Arrival arrival, String reason) {
        String place = arrival.sequence() + "/" + arrival.number();
        return new Element.Unreadable(arrival.shard(), place, reason);
    }

    private void passOver(Element.Unreadable lost, Exception cause) throws IOException {
        unreadable.inc();
        String place = "shard " + lost.shard() + (lost.sequence().isEmpty() ? "" : ", record " + lost.sequence());
        String told = place + " cannot be read: " + lost.reason();
        if (failsOnUnreadable) {
            throw new IOException(told + " (source.on-unreadable = 'skip' passes over such records)", cause);
        }
        if (Long.bitCount(unreadable.getCount()) == 1) { // 1, 2, 4, ...: a stream of them would fill the log
            LOG.warn("{}; {} passed over so far", told, unreadable.getCount());
        }
    }
}
