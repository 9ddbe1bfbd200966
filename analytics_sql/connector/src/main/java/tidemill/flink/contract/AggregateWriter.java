package tidemill.flink.contract;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HashMap;
import java.util.Map;

/**
 * An aggregate that grows record by record and knows its exact packed size. Not for several threads.
 *
 * <p>Its bytes are those of the Python SDK's {@code Aggregate} for the same records.
 */
public final class AggregateWriter {
    private final Map<String, Integer> keys = new HashMap<>();
    private final ByteArrayOutputStream entries = new ByteArrayOutputStream();
    private final ByteArrayOutputStream records = new ByteArrayOutputStream();
    private int count;

    /**
     * @param hashKey the explicit hash key that all records share
     */
    public AggregateWriter(String hashKey) {
        byte[] text = hashKey.getBytes(StandardCharsets.UTF_8);
        head(records, Aggregates.HASH_KEY_ENTRY, text.length);
        records.writeBytes(text);
    }

    /** Number of its records. */
    public int count() {
        return count;
    }

    /** Bytes of what {@link #pack} gives. */
    public int size() {
        return Aggregates.EMPTY_BYTES + entries.size() + records.size();
    }

    /** Adds a partition key and its data unless the packed size would pass {@code limit} bytes. Says whether. */
    public boolean append(String key, byte[] data, int limit) {
        Integer known = keys.get(key);
        byte[] text = known == null ? key.getBytes(StandardCharsets.UTF_8) : null;
        int index = known == null ? keys.size() : known;
        int inside = 1 + varintSize(index) + 2 + 1 + varintSize(data.length) + data.length;
        long size = (long) size() + 1 + varintSize(inside) + inside;
        if (text != null) {
            size += 1 + varintSize(text.length) + text.length;
        }
        if (size > limit) {
            return false;
        }
        if (text != null) {
            keys.put(key, index);
            head(entries, Aggregates.KEY_ENTRY, text.length);
            entries.writeBytes(text);
        }
        head(records, Aggregates.RECORD, inside);
        head(records, Aggregates.KEY_INDEX, index);
        head(records, Aggregates.HASH_KEY_INDEX, 0);
        head(records, Aggregates.DATA, data.length);
        records.writeBytes(data);
        count++;
        return true;
    }

    /** The aggregate, {@link #size} bytes. */
    public byte[] pack() {
        MessageDigest digest = Aggregates.md5();
        ByteArrayOutputStream packed = new ByteArrayOutputStream(size());
        packed.writeBytes(Aggregates.MAGIC);
        for (ByteArrayOutputStream part : new ByteArrayOutputStream[] {entries, records}) {
            byte[] bytes = part.toByteArray();
            digest.update(bytes);
            packed.writeBytes(bytes);
        }
        packed.writeBytes(digest.digest());
        return packed.toByteArray();
    }

    private static void head(ByteArrayOutputStream out, int tag, int number) {
        out.write(tag);
        int rest = number;
        while (rest > 0x7F) {
            out.write(rest & 0x7F | 0x80);
            rest >>>= 7;
        }
        out.write(rest);
    }

    private static int varintSize(int number) {
        int size = 1;
        for (int rest = number; rest > 0x7F; rest >>>= 7) {
            size++;
        }
        return size;
    }
}
