package tidemill.flink.contract;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Protobuf's wire format, as much as is needed to read any aggregate: numbers, byte strings, unknown fields.
 *
 * <p>It follows producers/tidemill/contract/aggregation/protobuf.py case by case; a test holds the verdicts equal.
 *
 * @see <a href="https://protobuf.dev/programming-guides/encoding/">the encoding</a>
 */
final class ProtobufReader {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int DELIMITED = 2;
    private static final int GROUP = 3;
    private static final int GROUP_END = 4;
    private static final int FIXED32 = 5;
    private static final long MAX_FIELD = (1L << 29) - 1;

    private final byte[] bytes;
    private final int end;
    private int position;

    ProtobufReader(byte[] bytes, int start, int end) {
        this.bytes = bytes;
        this.position = start;
        this.end = end;
    }

    boolean hasMore() {
        return position < end;
    }

    /** A number of at most 64 bits, to be read as unsigned. */
    long varint() throws CorruptAggregateException {
        long number = 0;
        for (int shift = 0; shift < 70; shift += 7) {
            int one = next();
            if (shift == 63 && (one & 0x7F) > 1) {
                break;
            }
            number |= (long) (one & 0x7F) << shift;
            if (one < 0x80) {
                return number;
            }
        }
        throw new CorruptAggregateException("a number of more than 64 bits");
    }

    /** A tag or a length, of at most five bytes. */
    long shortNumber() throws CorruptAggregateException {
        int start = position;
        long number = varint();
        if (position - start > 5) {
            throw new CorruptAggregateException("a tag or a length of more than 32 bits");
        }
        return number;
    }

    /** A byte string as a reader of its own, which reads the same array. */
    ProtobufReader field() throws CorruptAggregateException {
        long size = shortNumber();
        if (size > end - position) {
            throw new CorruptAggregateException("a field is cut off");
        }
        int start = position;
        position += (int) size;
        return new ProtobufReader(bytes, start, position);
    }

    /** What has not been read, as bytes. */
    byte[] rest() {
        return java.util.Arrays.copyOfRange(bytes, position, end);
    }

    /** What has not been read, as text. */
    String text() throws CorruptAggregateException {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(bytes, position, end - position))
                    .toString();
        } catch (CharacterCodingException error) {
            throw new CorruptAggregateException("a text is not UTF-8");
        }
    }

    /** Passes over a field that is not ours: its number must be above {@code known}. */
    void skip(long tag, int known) throws CorruptAggregateException {
        long number = tag >>> 3;
        int wire = (int) (tag & 7);
        if (number <= known || number > MAX_FIELD) {
            throw new CorruptAggregateException("field " + number + " has wire type " + wire);
        }
        switch (wire) {
            case VARINT -> varint();
            case DELIMITED -> field();
            case GROUP -> skipGroup(number);
            case FIXED32 -> pass(4);
            case FIXED64 -> pass(8);
            default -> throw new CorruptAggregateException("field " + number + " has wire type " + wire);
        }
    }

    /** Groups may stand in groups, so a stack and no recursion. */
    private void skipGroup(long number) throws CorruptAggregateException {
        Deque<Long> open = new ArrayDeque<>();
        open.push(number);
        while (!open.isEmpty()) {
            long tag = shortNumber();
            int wire = (int) (tag & 7);
            if (wire == GROUP) {
                open.push(tag >>> 3);
            } else if (wire == GROUP_END) {
                if (open.pop() != tag >>> 3) {
                    throw new CorruptAggregateException("a group ends that never began");
                }
            } else {
                skip(tag, 0);
            }
        }
    }

    private void pass(int count) throws CorruptAggregateException {
        if (count > end - position) {
            throw new CorruptAggregateException("a field is cut off");
        }
        position += count;
    }

    private int next() throws CorruptAggregateException {
        if (position >= end) {
            throw new CorruptAggregateException("an index or a length points outside");
        }
        return bytes[position++] & 0xFF;
    }
}
