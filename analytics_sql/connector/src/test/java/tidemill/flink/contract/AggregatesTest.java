package tidemill.flink.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

/** The whole of it is held against the Python SDK by tests/analytics_sql/connector/test_unpacking.py. */
class AggregatesTest {
    private static final String HASH_KEY = Lanes.hashKey(3);

    private static AggregateWriter two() {
        AggregateWriter writer = new AggregateWriter(HASH_KEY);
        writer.append("ключ", new byte[] {1, 2}, 1000);
        writer.append("b", new byte[0], 1000);
        return writer;
    }

    @Test
    void readsWhatItPacks() throws CorruptAggregateException {
        List<UserRecord> expected =
                List.of(new UserRecord("ключ", new byte[] {1, 2}, HASH_KEY), new UserRecord("b", new byte[0], HASH_KEY));
        assertEquals(expected, Aggregates.unpack(two().pack()));
    }

    @Test
    void refusesTheWholeOfADamagedAggregate() {
        byte[] packed = two().pack();
        for (int place = 4; place < packed.length; place++) {
            byte[] damaged = packed.clone();
            damaged[place] ^= 1;
            assertThrows(CorruptAggregateException.class, () -> Aggregates.unpack(damaged));
        }
    }

    @Test
    void refusesAnAggregateInsideAnAggregate() {
        AggregateWriter writer = new AggregateWriter(HASH_KEY);
        writer.append("outer", two().pack(), 1000);
        assertThrows(CorruptAggregateException.class, () -> Aggregates.unpack(writer.pack()));
    }

    @Test
    void aFullAggregateTakesNoMoreAndStaysAsItWas() {
        AggregateWriter writer = two();
        byte[] before = writer.pack();
        assertFalse(writer.append("c", new byte[100], before.length + 50));
        assertArrayEquals(before, writer.pack());
        assertEquals(before.length, writer.size());
    }
}
