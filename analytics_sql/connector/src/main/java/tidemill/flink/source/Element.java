package tidemill.flink.source;

/** What a shard's reading gives, in its order. */
public sealed interface Element {
    /**
     * A user record.
     *
     * @param shard the shard's name
     * @param arrival when the record arrived that carried it, in milliseconds since 1970
     * @param sequence that record's sequence number
     * @param number its place among that record's user records, from 0
     * @param isLast whether it is the last of them
     * @param key its own partition key
     * @param recordKey the partition key of the record that carried it
     */
    record Arrival(
            String shard,
            long arrival,
            String sequence,
            int number,
            boolean isLast,
            String key,
            String recordKey,
            byte[] data)
            implements Element {}

    /** A record that cannot be read, or records that are gone; all behind {@code sequence} can, if it is not empty. */
    record Unreadable(String shard, String sequence, String reason) implements Element {}

    /**
     * The end of a batch, at which the shard's watermark may rise.
     *
     * @param tip the service's time, in milliseconds since 1970, at which nothing more was in the shard; 0 if more was,
     *     or may have been
     */
    record Pause(long tip) implements Element {}

    /** The end of a closed shard. */
    record End() implements Element {}

    /** The end of a drained shard's hold on its reader's watermark. */
    record Release() implements Element {}
}
