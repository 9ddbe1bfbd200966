package tidemill.flink.source;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import tidemill.flink.contract.Aggregates;
import tidemill.flink.contract.CorruptAggregateException;
import tidemill.flink.contract.UserRecord;
import tidemill.flink.kinesis.Position;
import tidemill.flink.kinesis.StreamApi.RawRecord;

/**
 * Takes a shard's records apart into user records, batch by batch, from a place that may lie inside an aggregate. No
 * I/O.
 *
 * <p>What waits here is one answer of Kinesis, 10 MiB at most, as it came; only what a batch holds is unpacked.
 */
final class Unpacking {
    private final String shard;
    private final Deque<RawRecord> waiting = new ArrayDeque<>();

    /** Where reading begins if that is inside an aggregate; null once that is behind. */
    private Position inside;

    Unpacking(String shard, Position start) {
        this.shard = shard;
        this.inside = start.kind() == Position.Kind.INSIDE ? start : null;
    }

    void add(Collection<RawRecord> records) {
        waiting.addAll(records);
    }

    boolean isEmpty() {
        return waiting.isEmpty();
    }

    /** The next elements: whole records, until they are so many or have so many bytes. */
    List<Element> next(int maxRecords, long maxBytes) {
        List<Element> elements = new ArrayList<>();
        long bytes = 0;
        while (!waiting.isEmpty() && elements.size() < maxRecords && bytes < maxBytes) {
            RawRecord record = waiting.poll();
            bytes += record.data().length;
            unpack(record, elements);
        }
        return elements;
    }

    private void unpack(RawRecord record, List<Element> elements) {
        int done = doneOf(record, elements);
        if (!Aggregates.isAggregate(record.data())) {
            elements.add(arrival(record, 0, true, record.partitionKey(), record.data()));
            return;
        }
        try {
            List<UserRecord> users = Aggregates.unpack(record.data());
            for (int number = done; number < users.size(); number++) {
                UserRecord user = users.get(number);
                elements.add(arrival(record, number, number == users.size() - 1, user.key(), user.data()));
            }
        } catch (CorruptAggregateException error) {
            elements.add(new Element.Unreadable(shard, record.sequence(), "a corrupt aggregate: " + error.getMessage()));
        }
    }

    /** How many user records of it are done. */
    private int doneOf(RawRecord record, List<Element> elements) {
        if (inside == null) {
            return 0;
        }
        Position from = inside;
        inside = null;
        if (from.sequence().equals(record.sequence())) {
            return (int) from.number();
        }
        elements.add(
                new Element.Unreadable(shard, "", "records since " + from.sequence() + " are no longer in the stream"));
        return 0;
    }

    private Element arrival(RawRecord record, int number, boolean isLast, String key, byte[] data) {
        return new Element.Arrival(
                shard, record.arrival(), record.sequence(), number, isLast, key, record.partitionKey(), data);
    }
}
