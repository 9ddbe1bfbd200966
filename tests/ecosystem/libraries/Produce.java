import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.concurrent.Future;
import software.amazon.kinesis.producer.*;

/** Sends views of seven entities by the KPL, and prints how many arrived, and in how many records. */
public class Produce {
  public static void main(String[] arguments) throws Exception {
    String stream = arguments[0], authority = arguments[2], folder = arguments[3];
    int port = Integer.parseInt(arguments[1]), count = Integer.parseInt(arguments[4]);
    var producer = new KinesisProducer(new KinesisProducerConfiguration()
        .setRegion("us-east-1")
        .setKinesisEndpoint("127.0.0.1").setKinesisPort(port)
        .setStsEndpoint("127.0.0.1").setStsPort(port)
        .setCloudwatchEndpoint("127.0.0.1").setCloudwatchPort(port)
        .setCaCertFile(authority).setTempDirectory(folder)
        .setMetricsLevel("none").setRecordMaxBufferedTime(1000));
    // It aggregates once it knows the stream's shards, which the first record has it ask for.
    producer.addUserRecord(stream, "first", ByteBuffer.wrap("{\"event\":\"first\"}".getBytes())).get();
    var sent = new ArrayList<Future<UserRecordResult>>();
    for (int n = 0; n < count; n++) {
      String key = "content/" + n % 7;
      // Without `w` and `n`: the KPL keeps no order, and what came late would be taken for a repeat.
      String request = "{\"v\":1,\"id\":\"kpl-" + n + "\",\"cmd\":\"content.view\",\"key\":\"" + key + "\",\"client\":\"kpl\",\"data\":{}}";
      sent.add(producer.addUserRecord(stream, key, ByteBuffer.wrap(request.getBytes())));
    }
    producer.flushSync();
    var records = new HashSet<String>();
    int arrived = 0;
    for (var one : sent) {
      var result = one.get();
      arrived += result.isSuccessful() ? 1 : 0;
      records.add(result.getShardId() + result.getSequenceNumber());
    }
    System.out.println(arrived + " arrived in " + records.size() + " records");
    producer.destroy();
    System.exit(0);
  }
}
