package tidemill.flink.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.kinesis.Position;
import tidemill.flink.kinesis.StreamApi.RawRecord;

class UnpackingTest {
    private static RawRecord aggregate(String sequence, String... texts) {
        return new RawRecord(sequence, 5, "lane-0", MadeStream.packed(texts));
    }

    private static List<Element> all(Position start, RawRecord... records) {
        Unpacking unpacking = new Unpacking("s", start);
        unpacking.add(List.of(records));
        return unpacking.next(1000, 1_000_000);
    }

    private static List<String> shown(List<Element> elements) {
        return elements.stream().map(UnpackingTest::shown).toList();
    }

    private static String shown(Element element) {
        return element instanceof Element.Arrival one
                ? one.sequence() + "/" + one.number() + (one.isLast() ? "!" : "") + " " + one.key()
                : element.toString();
    }

    @Test
    void anAggregatesRecordsHaveTheirPlacesAndKeys() {
        List<Element> found = all(Position.HORIZON, aggregate("7", "a", "b"), new RawRecord("8", 5, "k", new byte[] {1}));
        assertEquals(List.of("7/0 a", "7/1! b", "8/0! k"), shown(found));
    }

    @Test
    void aStartInsideAnAggregateNeitherRepeatsNorSkips() {
        List<Element> found = all(Position.inside("7", 2), aggregate("7", "a", "b", "c"), aggregate("8", "d"));
        assertEquals(List.of("7/2! c", "8/0! d"), shown(found));
    }

    @Test
    void aStartInsideAnAggregateThatIsGoneIsTold() {
        List<Element> found = all(Position.inside("7", 2), aggregate("9", "x", "y"));
        assertInstanceOf(Element.Unreadable.class, found.get(0));
        assertEquals(List.of("9/0 x", "9/1! y"), shown(found.subList(1, 3)));
    }

    @Test
    void aCorruptAggregateIsRefusedWhole() {
        RawRecord corrupt = aggregate("7", "a", "b");
        corrupt.data()[10] ^= 1;
        List<Element> found = all(Position.HORIZON, corrupt, aggregate("8", "c"));
        Element.Unreadable refused = assertInstanceOf(Element.Unreadable.class, found.get(0));
        assertEquals("7", refused.sequence());
        assertEquals(List.of("8/0! c"), shown(found.subList(1, 2)));
    }

    @Test
    void aBatchEndsAtItsRecordsOrBytesAndTheRestWaits() {
        Unpacking unpacking = new Unpacking("s", Position.HORIZON);
        unpacking.add(List.of(aggregate("1", "a", "b"), aggregate("2", "c"), aggregate("3", "d")));
        assertEquals(List.of("1/0 a", "1/1! b"), shown(unpacking.next(2, 1_000_000)));
        assertEquals(List.of("2/0! c"), shown(unpacking.next(1000, 1)));
        assertEquals(List.of("3/0! d"), shown(unpacking.next(1000, 1)));
        assertTrue(unpacking.isEmpty());
    }
}
