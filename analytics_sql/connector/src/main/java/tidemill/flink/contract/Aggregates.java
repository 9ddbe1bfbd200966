package tidemill.flink.contract;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Aggregated records of the KPL: read whole, or refused with the reason.
 *
 * <p>The bytes are the magic, a protobuf message, and the MD5 of that message. No I/O. The reference is
 * producers/tidemill/contract/aggregation; tests/analytics_sql/connector/test_unpacking.py holds the two equal.
 *
 * @see <a href="https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md">the format</a>
 */
public final class Aggregates {
    static final byte[] MAGIC = {(byte) 0xF3, (byte) 0x89, (byte) 0x9A, (byte) 0xC2};
    static final int MD5_BYTES = 16;

    /** Size of an aggregate before its first user record. */
    static final int EMPTY_BYTES = MAGIC.length + MD5_BYTES;

    static final int KEY_ENTRY = 0x0A;
    static final int HASH_KEY_ENTRY = 0x12;
    static final int RECORD = 0x1A;
    static final int KEY_INDEX = 0x08;
    static final int HASH_KEY_INDEX = 0x10;
    static final int DATA = 0x1A;
    private static final int RECORD_TAG = 0x22;
    private static final int TAG_KEY = 0x0A;
    private static final int TAG_VALUE = 0x12;

    private Aggregates() {}

    /** Whether the data begins with the magic. Whether it is sound, {@link #unpack} says. */
    public static boolean isAggregate(byte[] data) {
        return data.length >= MAGIC.length && Arrays.equals(data, 0, MAGIC.length, MAGIC, 0, MAGIC.length);
    }

    /**
     * The user records of the aggregate, in their order.
     *
     * <p>Reads what any protobuf writer may have written: fields in any order, the last of a repeated one, fields it
     * does not know. An aggregate inside an aggregate is refused: its records would have no place of their own in the
     * stream.
     *
     * @throws CorruptAggregateException of anything else, such as a wrong MD5, an index outside its table, no records
     */
    public static List<UserRecord> unpack(byte[] data) throws CorruptAggregateException {
        ProtobufReader body = verified(data);
        List<String> keys = new ArrayList<>();
        List<String> hashKeys = new ArrayList<>();
        List<Found> found = new ArrayList<>();
        while (body.hasMore()) {
            long tag = body.shortNumber();
            if (tag == KEY_ENTRY) {
                keys.add(body.field().text());
            } else if (tag == HASH_KEY_ENTRY) {
                hashKeys.add(body.field().text());
            } else if (tag == RECORD) {
                found.add(readRecord(body.field()));
            } else {
                body.skip(tag, 3);
            }
        }
        if (found.isEmpty()) {
            throw new CorruptAggregateException("no records");
        }
        List<UserRecord> records = new ArrayList<>(found.size());
        for (Found one : found) {
            String hashKey = one.hashKey == null ? null : at(hashKeys, one.hashKey);
            records.add(new UserRecord(at(keys, one.key), one.data, hashKey));
            if (isAggregate(one.data)) {
                throw new CorruptAggregateException("an aggregate inside an aggregate");
            }
        }
        return records;
    }

    static MessageDigest md5() {
        try {
            return MessageDigest.getInstance("MD5");
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("this Java has no MD5", error);
        }
    }

    /** A record as it was found: indexes of its key and hash key, its data. */
    private record Found(Long key, Long hashKey, byte[] data) {}

    private static ProtobufReader verified(byte[] data) throws CorruptAggregateException {
        if (!isAggregate(data)) {
            throw new CorruptAggregateException("it does not begin with the magic");
        }
        if (data.length <= EMPTY_BYTES) {
            throw new CorruptAggregateException(data.length + " bytes hold no record");
        }
        int end = data.length - MD5_BYTES;
        MessageDigest digest = md5();
        digest.update(data, MAGIC.length, end - MAGIC.length);
        if (!Arrays.equals(digest.digest(), Arrays.copyOfRange(data, end, data.length))) {
            throw new CorruptAggregateException("the MD5 does not match");
        }
        return new ProtobufReader(data, MAGIC.length, end);
    }

    private static Found readRecord(ProtobufReader record) throws CorruptAggregateException {
        Long key = null;
        Long hashKey = null;
        byte[] data = null;
        while (record.hasMore()) {
            long tag = record.shortNumber();
            if (tag == KEY_INDEX) {
                key = record.varint();
            } else if (tag == HASH_KEY_INDEX) {
                hashKey = record.varint();
            } else if (tag == DATA) {
                data = record.field().rest();
            } else if (tag == RECORD_TAG) {
                checkTag(record.field());
            } else {
                record.skip(tag, 4);
            }
        }
        if (key == null || data == null) {
            throw new CorruptAggregateException("a record without its key or its data");
        }
        return new Found(key, hashKey, data);
    }

    /** Nobody wants the tags of records, but a broken one is damage. */
    private static void checkTag(ProtobufReader field) throws CorruptAggregateException {
        boolean hasKey = false;
        while (field.hasMore()) {
            long tag = field.shortNumber();
            if (tag == TAG_KEY || tag == TAG_VALUE) {
                field.field().text();
                hasKey |= tag == TAG_KEY;
            } else {
                field.skip(tag, 2);
            }
        }
        if (!hasKey) {
            throw new CorruptAggregateException("a tag without its key");
        }
    }

    private static String at(List<String> table, long index) throws CorruptAggregateException {
        if (index < 0 || index >= table.size()) {
            throw new CorruptAggregateException("an index or a length points outside");
        }
        return table.get((int) index);
    }
}
