package tidemill.flink.kinesis;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tidemill.flink.contract.AggregateWriter;
import tidemill.flink.contract.Lanes;

/** A stream in memory, which tests fill, reshard and have refuse. For several threads. */
public final class MadeStream implements StreamApi {
    /** The service's time, in milliseconds. */
    public long now = 1_000_000;

    public boolean ordered = true;

    /** What the next calls of these names are refused with; each is taken once. */
    private final Map<String, Deque<Refusal>> refusals = new LinkedHashMap<>();

    /** The outcomes of the next calls of put: null for a lost answer after which everything is stored. */
    public final Deque<List<Refusal>> outcomes = new ArrayDeque<>();

    private final Map<String, Made> shards = new LinkedHashMap<>();
    private long sequence = 100;

    /** The calls that were made, such as "iterator shard-0 AFTER 101". */
    public final List<String> calls = new ArrayList<>();

    /** What was put, in the order in which it was stored. */
    public final List<Entry> stored = new ArrayList<>();

    /** Each call of put. */
    public final List<List<Entry>> puts = new ArrayList<>();

    private static final class Made {
        final List<String> parents;
        final List<RawRecord> records = new ArrayList<>();
        boolean closed;

        Made(List<String> parents) {
            this.parents = parents;
        }
    }

    public static final Refusal THROTTLED = Refusal.ofEntry("ProvisionedThroughputExceededException", "slower");
    public static final Refusal LOST = Refusal.unreadable("no answer");
    public static final Refusal EXPIRED = Refusal.ofCall("ExpiredIteratorException", "too old", 400);
    public static final Refusal GONE = Refusal.ofCall("ResourceNotFoundException", "no such shard", 400);
    public static final Refusal DENIED = Refusal.ofCall("AccessDeniedException", "not you", 400);

    public synchronized MadeStream shard(String id, String... parents) {
        shards.put(id, new Made(List.of(parents)));
        return this;
    }

    public synchronized void close(String shard) {
        shards.get(shard).closed = true;
    }

    public synchronized void remove(String shard) {
        shards.remove(shard);
    }

    /** Puts a record. Returns its sequence number. */
    public synchronized String record(String shard, String key, byte[] data) {
        String next = String.valueOf(++sequence);
        shards.get(shard).records.add(new RawRecord(next, now, key, data));
        return next;
    }

    /** Puts an aggregate of these texts, each its own key. Returns its sequence number. */
    public String aggregate(String shard, String... texts) {
        return record(shard, "lane-0", packed(texts));
    }

    public static byte[] packed(String... texts) {
        AggregateWriter writer = new AggregateWriter(Lanes.hashKey(0));
        for (String text : texts) {
            writer.append(text, text.getBytes(), Integer.MAX_VALUE);
        }
        return writer.pack();
    }

    /** Has the next calls of this name refused. */
    public synchronized void refuse(String call, Refusal... with) {
        refusals.computeIfAbsent(call, one -> new ArrayDeque<>()).addAll(List.of(with));
    }

    @Override
    public synchronized Shards shards() throws KinesisException {
        called("shards", "");
        List<Shard> found = new ArrayList<>();
        shards.forEach((id, made) -> found.add(new Shard(id, made.parents, made.closed)));
        return new Shards(found, now);
    }

    @Override
    public synchronized String iterator(String shard, Position position) throws KinesisException {
        called("iterator", " " + shard + " " + position.kind() + " " + position.sequence() + position.number());
        Made made = made("iterator", shard);
        int next = switch (position.kind()) {
            case HORIZON -> 0;
            case TIME -> first(made, one -> one.arrival() >= position.number());
            case AFTER -> first(made, one -> one.sequence().compareTo(position.sequence()) > 0);
            case INSIDE -> first(made, one -> one.sequence().compareTo(position.sequence()) >= 0);
            case END -> throw new IllegalArgumentException("nothing is read behind the end");
        };
        return shard + "@" + next;
    }

    @Override
    public synchronized Page read(String iterator, int limit) throws KinesisException {
        called("read", " " + iterator);
        String shard = iterator.substring(0, iterator.indexOf('@'));
        Made made = made("read", shard);
        int first = Integer.parseInt(iterator.substring(iterator.indexOf('@') + 1));
        int end = Math.min(made.records.size(), first + limit);
        boolean isTip = end == made.records.size();
        String next = isTip && made.closed ? null : shard + "@" + end;
        long behind = isTip ? 0 : now - made.records.get(end).arrival() + 1;
        return new Page(List.copyOf(made.records.subList(first, end)), next, behind, now);
    }

    @Override
    public synchronized List<Outcome> put(List<Entry> entries) throws KinesisException {
        called("put", "");
        puts.add(entries);
        List<Refusal> given = outcomes.isEmpty() ? List.of() : outcomes.poll();
        List<Outcome> answer = new ArrayList<>();
        boolean isLost = false;
        for (int place = 0; place < entries.size(); place++) {
            Refusal refusal = place < given.size() ? given.get(place) : null;
            if (refusal == null || refusal == LOST) {
                stored.add(entries.get(place));
            }
            isLost |= refusal == LOST;
            answer.add(new Outcome(refusal));
        }
        notifyAll();
        if (isLost) {
            throw new KinesisException("PutRecords", LOST, null);
        }
        return answer;
    }

    @Override
    public synchronized boolean isOrdered() throws KinesisException {
        called("describe", "");
        return ordered;
    }

    @Override
    public synchronized long certainlyPast() {
        return now - 1000;
    }

    @Override
    public void close() {
        // readers and the enumerator share it
    }

    private interface Test {
        boolean holds(RawRecord record);
    }

    private static int first(Made made, Test test) {
        int place = 0;
        while (place < made.records.size() && !test.holds(made.records.get(place))) {
            place++;
        }
        return place;
    }

    private Made made(String call, String shard) throws KinesisException {
        if (!shards.containsKey(shard)) {
            throw new KinesisException(call, GONE, null);
        }
        return shards.get(shard);
    }

    private void called(String name, String more) throws KinesisException {
        calls.add(name + more);
        Deque<Refusal> waiting = refusals.getOrDefault(name, new ArrayDeque<>());
        if (!waiting.isEmpty()) {
            throw new KinesisException(name, waiting.poll(), null);
        }
    }
}
