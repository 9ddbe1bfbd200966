package tidemill.flink.contract;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;

/**
 * Lanes: fixed, equal slices of the key space; one record holds requests of one lane only.
 *
 * <p>A lane is known from the key alone, so no shard map is read, cached or outdated. The reference is
 * producers/tidemill/contract/lanes.py. No I/O.
 */
public final class Lanes {
    /** Number of lanes. Lanes fit shards exactly if there are a power of two of them, up to this. */
    public static final int LANES = 64;

    private static final int BITS = 6;
    private static final int HASH_BITS = 128;

    private Lanes() {}

    /** The lane of an ordering key: the top bits of the key's MD5. */
    public static int laneOf(String key) {
        byte[] digest = Aggregates.md5().digest(key.getBytes(StandardCharsets.UTF_8));
        return (digest[0] & 0xFF) >>> (8 - BITS);
    }

    /** The partition key of the lane's records. */
    public static String partitionKey(int lane) {
        return "lane-" + lane;
    }

    /**
     * The partition key of an aggregate whose first attempt may have been stored (docs/contract.md, "Putting a request
     * again").
     *
     * @param tried a time certainly not after the first attempt's arrival, in milliseconds since 1970 by the stream's
     *     clock; 0 if nothing is known of it
     */
    public static String markedPartitionKey(int lane, long tried) {
        return partitionKey(lane) + " tried " + tried;
    }

    /** The explicit hash key of the lane's records: the middle of its slice, in decimal. */
    public static String hashKey(int lane) {
        return BigInteger.valueOf(2L * lane + 1).shiftLeft(HASH_BITS - BITS - 1).toString();
    }
}
