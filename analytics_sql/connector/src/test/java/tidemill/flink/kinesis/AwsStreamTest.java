package tidemill.flink.kinesis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.StreamApi.Entry;
import tidemill.flink.kinesis.StreamApi.Outcome;

/** AWS's SDK against a service on 127.0.0.1 that answers as it is told, or hangs up. */
class AwsStreamTest {
    private static final String DATE = "Mon, 30 Nov 2026 08:00:00 GMT";
    private static final long AT = 1_796_025_600_000L;
    private static final Entry ENTRY = new Entry("lane-0", "1", new byte[] {1});

    private final Deque<String> answers = new ArrayDeque<>();
    private final AtomicInteger requests = new AtomicInteger();
    private final List<String> bodies = new CopyOnWriteArrayList<>();
    private ServerSocket server;
    private AwsStream stream;

    @BeforeEach
    void start() throws IOException {
        System.setProperty("aws.cborEnabled", "false");
        System.setProperty("aws.accessKeyId", "test");
        System.setProperty("aws.secretAccessKey", "test");
        server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Thread serving = new Thread(this::serve, "service");
        serving.setDaemon(true);
        serving.start();
        String arn = "arn:aws:kinesis:us-east-1:123456789012:stream/requests";
        stream = new AwsStream(new StreamAddress(arn, "us-east-1", "http://127.0.0.1:" + server.getLocalPort()));
    }

    @AfterEach
    void stop() throws IOException {
        stream.close();
        server.close();
    }

    /** Answers each connection's requests in turn; an empty answer hangs up. */
    private void serve() {
        while (!server.isClosed()) {
            try (Socket socket = server.accept()) {
                BufferedReader in =
                        new BufferedReader(
                                new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
                while (readRequest(in)) {
                    requests.incrementAndGet();
                    String answer = answers.isEmpty() ? "" : answers.poll();
                    OutputStream out = socket.getOutputStream();
                    out.write(answer.getBytes(StandardCharsets.UTF_8));
                    out.flush();
                    if (answer.isEmpty()) {
                        break;
                    }
                }
            } catch (IOException error) {
                // the client, or the test, has hung up
            }
        }
    }

    private boolean readRequest(BufferedReader in) throws IOException {
        int length = 0;
        String line = in.readLine();
        if (line == null) {
            return false;
        }
        while (line != null && !line.isEmpty()) {
            if (line.toLowerCase().startsWith("content-length:")) {
                length = Integer.parseInt(line.substring("content-length:".length()).trim());
            }
            line = in.readLine();
        }
        char[] body = new char[length];
        for (int read = 0; read < length; ) {
            int more = in.read(body, read, length - read);
            if (more < 0) {
                return false;
            }
            read += more;
        }
        bodies.add(new String(body));
        return true;
    }

    private static String http(int status, String body) {
        String head = "HTTP/1.1 " + status + " so\r\nDate: " + DATE + "\r\nx-amzn-RequestId: 1\r\n";
        return head + "Content-Type: application/x-amz-json-1.1\r\nContent-Length: " + body.length() + "\r\n\r\n" + body;
    }

    private Refusal refusal(String answer) {
        answers.add(answer);
        return assertThrows(KinesisException.class, () -> stream.put(List.of(ENTRY))).refusal();
    }

    @Test
    void aLostAnswerIsToldAndNothingIsPutAgainByItself() throws KinesisException {
        answers.add(http(200, "{\"Records\":[{\"ShardId\":\"s\",\"SequenceNumber\":\"1\"}],\"FailedRecordCount\":0}"));
        assertTrue(stream.put(List.of(ENTRY)).get(0).isStored()); // the connection is kept, and then breaks
        Refusal lost = refusal("");
        assertTrue(lost.lost() && lost.again(), lost.toString());
        assertEquals(2, requests.get());
    }

    @Test
    void eachEntryHasAnOutcome() throws KinesisException {
        answers.add(http(200, "{\"FailedRecordCount\":2,\"Records\":[{\"ShardId\":\"s\",\"SequenceNumber\":\"1\"},"
                + "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"slower\"},"
                + "{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":\"?\"}]}"));
        List<Outcome> outcomes = stream.put(List.of(ENTRY, ENTRY, ENTRY));
        assertTrue(outcomes.get(0).isStored());
        Refusal throttled = outcomes.get(1).refusal();
        assertTrue(throttled.isThrottling() && throttled.again() && !throttled.lost());
        assertTrue(outcomes.get(2).refusal().lost());
    }

    @Test
    void anAnswerOfAnotherCountIsLost() {
        assertTrue(refusal(http(200, "{\"FailedRecordCount\":0,\"Records\":[]}")).lost());
    }

    @Test
    void refusalsAreToldApart() {
        Refusal throttled = refusal(http(400, "{\"__type\":\"ProvisionedThroughputExceededException\"}"));
        assertTrue(throttled.again() && !throttled.lost());
        Refusal denied = refusal(http(400, "{\"__type\":\"AccessDeniedException\",\"message\":\"not you\"}"));
        assertFalse(denied.again() || denied.lost());
        assertTrue(refusal(http(500, "{\"__type\":\"InternalFailure\"}")).lost());
        assertTrue(refusal(http(502, "<html>a proxy</html>")).lost());
    }

    @Test
    void shardsAreListedPageByPage() throws KinesisException {
        String shard = "{\"ShardId\":\"%s\",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"1\"},"
                + "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\",\"EndingSequenceNumber\":\"2\"}}";
        answers.add(http(200, "{\"NextToken\":\"more\",\"Shards\":[" + shard.formatted("a") + "]}"));
        answers.add(http(200, "{\"Shards\":[" + shard.formatted("b") + "]}"));
        List<StreamApi.Shard> shards = stream.shards().shards();
        assertEquals(List.of("a", "b"), shards.stream().map(StreamApi.Shard::id).toList());
        assertTrue(shards.get(0).closed());
        assertTrue(bodies.get(0).contains("StreamARN"), bodies.get(0));
        assertEquals("{\"NextToken\":\"more\"}", bodies.get(1)); // Kinesis refuses both together
    }

    @Test
    void timeIsTheServices() throws KinesisException {
        assertEquals(0, stream.certainlyPast());
        answers.add(http(200, "{\"Shards\":[{\"ShardId\":\"s\",\"ParentShardId\":\"p\",\"HashKeyRange\":"
                + "{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"1\"},\"SequenceNumberRange\":"
                + "{\"StartingSequenceNumber\":\"1\"}}]}"));
        StreamApi.Shards shards = stream.shards();
        assertEquals(AT, shards.at());
        assertEquals(List.of(new StreamApi.Shard("s", List.of("p"), false)), shards.shards());
        long past = stream.certainlyPast();
        assertTrue(AT - 1000 <= past && past < AT + 60_000, "" + past);
    }

    @Test
    void aClockIsCarriedOnAThousandthSlow() {
        StreamClock clock = new StreamClock();
        clock.heard(AT, 5_000_000_000L);
        assertEquals(AT - 1000 + 99_900, clock.certainlyPast(105_000_000_000L));
    }
}
