package tidemill.flink.contract;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Says line by line what this code makes of aggregates, so that tests hold it and the Python SDK equal.
 *
 * <pre>
 *   unpack HEX                    refused REASON, or the records: KEY:HASH_KEY:DATA …, texts and data in hexadecimal
 *   pack HASH_KEY KEY:DATA …      the aggregate in hexadecimal
 *   lane KEY                      the key's lane, and the lane's explicit hash key
 * </pre>
 */
public final class Verdicts {
    private static final HexFormat HEX = HexFormat.of();

    private Verdicts() {}

    public static void main(String[] arguments) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(verdict(line.split(" ")));
        }
        out.flush();
    }

    private static String verdict(String[] words) {
        return switch (words[0]) {
            case "unpack" -> unpacked(words.length > 1 ? HEX.parseHex(words[1]) : new byte[0]);
            case "pack" -> packed(words);
            case "lane" -> {
                int lane = Lanes.laneOf(text(words[1]));
                yield lane + " " + Lanes.hashKey(lane);
            }
            default -> throw new IllegalArgumentException("not a verdict to give: " + words[0]);
        };
    }

    private static String unpacked(byte[] data) {
        try {
            List<UserRecord> records = Aggregates.unpack(data);
            return records.stream().map(Verdicts::shown).collect(Collectors.joining(" "));
        } catch (CorruptAggregateException error) {
            return "refused " + error.getMessage();
        }
    }

    private static String shown(UserRecord record) {
        String hashKey = record.hashKey() == null ? "none" : hex(record.hashKey());
        return hex(record.key()) + ":" + hashKey + ":" + HEX.formatHex(record.data());
    }

    private static String packed(String[] words) {
        AggregateWriter writer = new AggregateWriter(words[1]);
        for (int place = 2; place < words.length; place++) {
            String[] parts = words[place].split(":", -1);
            writer.append(text(parts[0]), HEX.parseHex(parts[1]), Integer.MAX_VALUE);
        }
        byte[] packed = writer.pack();
        if (packed.length != writer.size()) {
            throw new IllegalStateException(packed.length + " bytes were reckoned as " + writer.size());
        }
        return HEX.formatHex(packed);
    }

    private static String hex(String text) {
        return HEX.formatHex(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String text(String hex) {
        return new String(HEX.parseHex(hex), StandardCharsets.UTF_8);
    }
}
