package tidemill.flink.kinesis;

import java.util.List;

/**
 * The calls of Kinesis that the connector makes, on one stream; each once, without retries of its own.
 *
 * <p>The one place where tests put a stream that they make themselves.
 */
public interface StreamApi extends AutoCloseable {
    /**
     * A shard as ListShards has it.
     *
     * @param parents its parents, of which there are none, one or two
     * @param closed whether it takes no more records
     */
    record Shard(String id, List<String> parents, boolean closed) {}

    /**
     * All shards that are kept, and when.
     *
     * @param at the service's time, in milliseconds since 1970
     */
    record Shards(List<Shard> shards, long at) {}

    /**
     * A record as GetRecords has it.
     *
     * @param arrival its ApproximateArrivalTimestamp, in milliseconds since 1970
     */
    record RawRecord(String sequence, long arrival, String partitionKey, byte[] data) {}

    /**
     * An answer to GetRecords.
     *
     * @param next the next iterator; null at the end of a closed shard
     * @param millisBehind how far the answer is behind the shard's tip, in milliseconds
     * @param at the service's time, in milliseconds since 1970; 0 if the answer does not say
     */
    record Page(List<RawRecord> records, String next, long millisBehind, long at) {
        /** What counts for the shard's limit of reading. */
        public long bytes() {
            return records.stream().mapToLong(one -> one.data().length + one.partitionKey().length()).sum();
        }
    }

    /** An entry of PutRecords. */
    record Entry(String partitionKey, String hashKey, byte[] data) {}

    /** The outcome of an entry: null if it is stored. */
    record Outcome(Refusal refusal) {
        public boolean isStored() {
            return refusal == null;
        }
    }

    /**
     * The stream's shards.
     *
     * @throws KinesisException as every call here
     */
    Shards shards() throws KinesisException;

    /** An iterator for the position in the shard. */
    String iterator(String shard, Position position) throws KinesisException;

    /** The next records, at most {@code limit}. */
    Page read(String iterator, int limit) throws KinesisException;

    /** Whether the stream places records by their partition keys; otherwise it keeps no order. */
    boolean isOrdered() throws KinesisException;

    /** Puts the entries. Returns the outcome of each, in their order. */
    List<Outcome> put(List<Entry> entries) throws KinesisException;

    /**
     * The service's time by its last answer that had one, carried on by this machine's monotonic clock: certainly not
     * after the present, in milliseconds since 1970. 0 before the first answer.
     */
    long certainlyPast();

    @Override
    void close();
}
