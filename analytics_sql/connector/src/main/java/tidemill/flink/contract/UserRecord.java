package tidemill.flink.contract;

import java.util.Arrays;
import java.util.Objects;

/**
 * One user record of an aggregate.
 *
 * @param key the partition key that its sender gave it
 * @param data its payload
 * @param hashKey the explicit hash key, a decimal number below 2^128, or null for the MD5 of the key
 */
public record UserRecord(String key, byte[] data, String hashKey) {
    @Override
    public boolean equals(Object other) {
        return other instanceof UserRecord that
                && key.equals(that.key)
                && Arrays.equals(data, that.data)
                && Objects.equals(hashKey, that.hashKey);
    }

    @Override
    public int hashCode() {
        return Objects.hash(key, Arrays.hashCode(data), hashKey);
    }
}
