import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.*;
import java.util.concurrent.*;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.*;
import software.amazon.awssdk.services.kinesis.model.*;

/** Puts and reads with both of Java's SDKs as they come, and by a subscription. */
public class Wire {
  public static void main(String[] arguments) throws Exception {
    String endpoint = System.getenv("AWS_ENDPOINT_URL"), stream = arguments[0];
    var v1 = com.amazonaws.services.kinesis.AmazonKinesisClientBuilder.standard()
        .withEndpointConfiguration(new com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration(endpoint, "us-east-1")).build();
    var begun = new Date(System.currentTimeMillis() - 60000);
    v1.putRecord(stream, ByteBuffer.wrap("one".getBytes()), "k");
    var summary = v1.describeStreamSummary(new com.amazonaws.services.kinesis.model.DescribeStreamSummaryRequest().withStreamName(stream)).getStreamDescriptionSummary();
    System.out.println("v1 created within the hour: " + (Math.abs(summary.getStreamCreationTimestamp().getTime() - System.currentTimeMillis()) < 3600000));
    var iterator = v1.getShardIterator(new com.amazonaws.services.kinesis.model.GetShardIteratorRequest().withStreamName(stream).withShardId("shardId-000000000000").withShardIteratorType("AT_TIMESTAMP").withTimestamp(begun)).getShardIterator();
    for (var record : v1.getRecords(new com.amazonaws.services.kinesis.model.GetRecordsRequest().withShardIterator(iterator)).getRecords())
      System.out.println("v1 " + new String(record.getData().array()) + " arrived within the hour: " + (Math.abs(record.getApproximateArrivalTimestamp().getTime() - System.currentTimeMillis()) < 3600000));
    try { v1.describeStream("none-such"); } catch (com.amazonaws.services.kinesis.model.ResourceNotFoundException error) { System.out.println("v1 not found"); }

    var v2 = KinesisClient.builder().endpointOverride(URI.create(endpoint)).region(Region.US_EAST_1).build();
    v2.putRecords(r -> r.streamName(stream).records(PutRecordsRequestEntry.builder().data(SdkBytes.fromUtf8String("two")).partitionKey("k").build()));
    var at = v2.getShardIterator(r -> r.streamName(stream).shardId("shardId-000000000000").shardIteratorType("AT_TIMESTAMP").timestamp(begun.toInstant())).shardIterator();
    for (var record : v2.getRecords(r -> r.shardIterator(at)).records())
      System.out.println("v2 " + record.data().asUtf8String() + " arrived within the hour: " + (Math.abs(record.approximateArrivalTimestamp().toEpochMilli() - System.currentTimeMillis()) < 3600000));
    try { v2.describeStreamSummary(r -> r.streamName("none-such")); } catch (ResourceNotFoundException error) { System.out.println("v2 not found"); }

    var arn = summary.getStreamARN();
    var consumer = v2.registerStreamConsumer(r -> r.streamARN(arn).consumerName("java")).consumer();
    System.out.println("v2 consumer created within the hour: " + (Math.abs(consumer.consumerCreationTimestamp().toEpochMilli() - System.currentTimeMillis()) < 3600000));
    var async = KinesisAsyncClient.builder().endpointOverride(URI.create(endpoint)).region(Region.US_EAST_1).build();
    var got = new CountDownLatch(2);
    var handler = SubscribeToShardResponseHandler.builder().subscriber(SubscribeToShardResponseHandler.Visitor.builder().onSubscribeToShardEvent(event -> {
      for (var record : event.records()) { System.out.println("fan-out " + record.data().asUtf8String() + " " + (Math.abs(record.approximateArrivalTimestamp().toEpochMilli() - System.currentTimeMillis()) < 3600000)); got.countDown(); }
    }).build()).onError(error -> System.out.println("fan-out " + error)).build();
    async.subscribeToShard(r -> r.consumerARN(consumer.consumerARN()).shardId("shardId-000000000000").startingPosition(p -> p.type(ShardIteratorType.TRIM_HORIZON)), handler);
    System.out.println("fan-out got both: " + got.await(20, TimeUnit.SECONDS));
    System.exit(0);
  }
}
