import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.*;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.*;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.*;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/** Reads a stream by the KCL until its own input ends; prints each record, and where a shard begins and ends. */
public class Consume {
  static synchronized void say(String text) {
    System.out.println(text);
    System.out.flush();
  }

  static class Reader implements ShardRecordProcessor {
    String shard;

    public void initialize(InitializationInput input) {
      shard = input.shardId();
      say("begins " + shard);
    }

    public void processRecords(ProcessRecordsInput input) {
      for (var record : input.records())
        say("record " + record.partitionKey() + " " + StandardCharsets.UTF_8.decode(record.data()));
      try {
        if (!input.records().isEmpty()) input.checkpointer().checkpoint();
      } catch (Exception error) {
        say("failed " + error);
      }
    }

    public void leaseLost(LeaseLostInput input) {}

    public void shardEnded(ShardEndedInput input) {
      try {
        input.checkpointer().checkpoint();
        say("ends " + shard);
      } catch (Exception error) {
        say("failed " + error);
      }
    }

    public void shutdownRequested(ShutdownRequestedInput input) {}
  }

  public static void main(String[] arguments) throws Exception {
    String stream = arguments[0], application = arguments[1];
    var endpoint = URI.create(System.getenv("AWS_ENDPOINT_URL"));
    var region = Region.US_EAST_1;
    var kinesis = KinesisClientUtil.createKinesisAsyncClient(
        KinesisAsyncClient.builder().endpointOverride(endpoint).region(region));
    var tables = DynamoDbAsyncClient.builder().endpointOverride(endpoint).region(region).build();
    var metrics = CloudWatchAsyncClient.builder().endpointOverride(endpoint).region(region).build();
    var beginning = InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
    var tracker = new SingleStreamTracker(StreamIdentifier.singleStreamInstance(stream), beginning);
    var configs = new ConfigsBuilder(tracker, application, kinesis, tables, metrics, "worker", Reader::new);
    var leases = configs.leaseManagementConfig()
        .failoverTimeMillis(2000).leaseAssignmentIntervalMillis(1000L)
        .shardSyncIntervalMillis(1000).leasesRecoveryAuditorExecutionFrequencyMillis(1000);
    leases.workerUtilizationAwareAssignmentConfig().disableWorkerMetrics(true); // it would ask for this machine's name
    var retrieval = configs.retrievalConfig().retrievalSpecificConfig(
        arguments[2].equals("fan-out")
            ? new FanOutConfig(kinesis).streamName(stream).applicationName(application)
            : new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(250));
    var coordinator = configs.coordinatorConfig()
        .parentShardPollIntervalMillis(500).shardConsumerDispatchPollIntervalMillis(200);
    var scheduler = new Scheduler(
        configs.checkpointConfig(), coordinator, leases, configs.lifecycleConfig(),
        configs.metricsConfig().metricsFactory(new NullMetricsFactory()), configs.processorConfig(), retrieval);
    var thread = new Thread(scheduler);
    thread.setDaemon(true);
    thread.start();
    while (System.in.read() >= 0) {}
    scheduler.startGracefulShutdown().get(20, TimeUnit.SECONDS);
    System.exit(0);
  }
}
