package tidemill.flink.sink;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.junit.jupiter.api.Test;
import tidemill.flink.kinesis.MadeStream;
import tidemill.flink.kinesis.Refusal;

class KinesisSinkTest {
    private final MadeStream stream = new MadeStream();

    private String refusal() {
        return assertThrows(IOException.class, () -> KinesisSink.check(stream)).getMessage();
    }

    @Test
    void aStreamThatKeepsNoOrderIsRefused() {
        stream.ordered = false;
        String told = refusal();
        assertTrue(told.contains("stream.arn") && told.contains("USER_PARTITION_KEY"), told);
    }

    @Test
    void aStreamThatIsNotThereIsRefused() {
        stream.refuse("describe", MadeStream.GONE);
        assertTrue(refusal().contains("is not there"));
    }

    @Test
    void withoutCredentialsTheSinkDoesNotBegin() {
        stream.refuse("describe", Refusal.withoutCredentials("Unable to load credentials"));
        assertTrue(refusal().contains("NoCredentials"));
    }

    @Test
    void withoutTheRightToAskTheSinkBegins() throws IOException {
        stream.refuse("describe", MadeStream.DENIED);
        KinesisSink.check(stream);
    }
}
