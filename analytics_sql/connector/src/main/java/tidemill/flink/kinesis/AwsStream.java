package tidemill.flink.kinesis;

import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.stream.Stream;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.KinesisClientBuilder;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.GetShardIteratorRequest;
import software.amazon.awssdk.services.kinesis.model.KinesisResponse;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResultEntry;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.RecordDistributionStrategy;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;

/**
 * The calls of Kinesis by AWS's SDK, with its default chain of credentials.
 *
 * <p>The SDK's own retries are off: whoever calls decides what an error means, and a put again after a lost answer has
 * to be marked as such.
 */
public final class AwsStream implements StreamApi {
    private static final Duration CONNECT = Duration.ofSeconds(5);

    /** A GetRecords of 10 MiB may take its time. */
    private static final Duration ANSWER = Duration.ofSeconds(30);

    private final String arn;
    private final KinesisClient client;
    private final StreamClock clock = new StreamClock();

    public AwsStream(StreamAddress address) {
        arn = address.arn();
        KinesisClientBuilder builder =
                KinesisClient.builder()
                        .region(Region.of(address.region()))
                        .httpClientBuilder(
                                UrlConnectionHttpClient.builder().connectionTimeout(CONNECT).socketTimeout(ANSWER))
                        .overrideConfiguration(one -> one.retryStrategy(AwsRetryStrategy.doNotRetry()));
        if (address.endpoint() != null) {
            builder.endpointOverride(URI.create(address.endpoint()));
        }
        client = builder.build();
    }

    @Override
    public Shards shards() throws KinesisException {
        List<Shard> found = new ArrayList<>();
        long at = 0;
        String token = null;
        do {
            String next = token;
            ListShardsResponse answer =
                    call("ListShards", () -> client.listShards(one -> {
                        if (next == null) {
                            one.streamARN(arn);
                        } else {
                            one.nextToken(next); // "NextToken and StreamARN cannot be provided together."
                        }
                    }));
            answer.shards().forEach(one -> found.add(shard(one)));
            at = at == 0 ? dateOf(answer) : at;
            token = answer.nextToken();
        } while (token != null);
        return new Shards(found, at);
    }

    private static Shard shard(software.amazon.awssdk.services.kinesis.model.Shard shard) {
        List<String> parents =
                Stream.of(shard.parentShardId(), shard.adjacentParentShardId()).filter(Objects::nonNull).toList();
        return new Shard(shard.shardId(), parents, shard.sequenceNumberRange().endingSequenceNumber() != null);
    }

    @Override
    public String iterator(String shard, Position position) throws KinesisException {
        GetShardIteratorRequest.Builder request = GetShardIteratorRequest.builder().streamARN(arn).shardId(shard);
        switch (position.kind()) {
            case HORIZON -> request.shardIteratorType(ShardIteratorType.TRIM_HORIZON);
            case TIME ->
                    request.shardIteratorType(ShardIteratorType.AT_TIMESTAMP)
                            .timestamp(Instant.ofEpochMilli(position.number()));
            case AFTER ->
                    request.shardIteratorType(ShardIteratorType.AFTER_SEQUENCE_NUMBER)
                            .startingSequenceNumber(position.sequence());
            case INSIDE ->
                    request.shardIteratorType(ShardIteratorType.AT_SEQUENCE_NUMBER)
                            .startingSequenceNumber(position.sequence());
            case END -> throw new IllegalArgumentException("nothing is read behind a shard's end");
        }
        return call("GetShardIterator", () -> client.getShardIterator(request.build())).shardIterator();
    }

    @Override
    public Page read(String iterator, int limit) throws KinesisException {
        GetRecordsResponse answer =
                call("GetRecords", () -> client.getRecords(
                        one -> one.streamARN(arn).shardIterator(iterator).limit(limit)));
        List<RawRecord> records = answer.records().stream().map(AwsStream::record).toList();
        Long behind = answer.millisBehindLatest();
        return new Page(records, answer.nextShardIterator(), behind == null ? Long.MAX_VALUE : behind, dateOf(answer));
    }

    private static RawRecord record(Record record) {
        return new RawRecord(
                record.sequenceNumber(),
                record.approximateArrivalTimestamp().toEpochMilli(),
                record.partitionKey(),
                record.data().asByteArrayUnsafe());
    }

    @Override
    public List<Outcome> put(List<Entry> entries) throws KinesisException {
        List<PutRecordsRequestEntry> records = entries.stream().map(AwsStream::entry).toList();
        PutRecordsResponse answer =
                call("PutRecords", () -> client.putRecords(one -> one.streamARN(arn).records(records)));
        if (answer.records().size() != entries.size()) {
            Refusal problem =
                    Refusal.unreadable(answer.records().size() + " results for " + entries.size() + " records");
            throw new KinesisException("PutRecords", problem, null);
        }
        return answer.records().stream().map(AwsStream::outcome).toList();
    }

    @Override
    public boolean isOrdered() throws KinesisException {
        return call("DescribeStreamSummary", () -> client.describeStreamSummary(one -> one.streamARN(arn)))
                        .streamDescriptionSummary()
                        .recordDistributionStrategy()
                != RecordDistributionStrategy.AUTO;
    }

    private static PutRecordsRequestEntry entry(Entry entry) {
        return PutRecordsRequestEntry.builder()
                .partitionKey(entry.partitionKey())
                .explicitHashKey(entry.hashKey())
                .data(SdkBytes.fromByteArrayUnsafe(entry.data()))
                .build();
    }

    private static Outcome outcome(PutRecordsResultEntry entry) {
        if (entry.errorCode() != null && !entry.errorCode().isEmpty()) {
            return new Outcome(Refusal.ofEntry(entry.errorCode(), entry.errorMessage()));
        }
        boolean stored = entry.sequenceNumber() != null && entry.shardId() != null;
        return new Outcome(stored ? null : Refusal.unreadable("a result without shard or sequence number"));
    }

    @Override
    public long certainlyPast() {
        return clock.certainlyPast(System.nanoTime());
    }

    @Override
    public void close() {
        client.close();
    }

    private <A extends KinesisResponse> A call(String name, Supplier<A> call) throws KinesisException {
        try {
            A answer = call.get();
            clock.heard(dateOf(answer), System.nanoTime());
            return answer;
        } catch (AwsServiceException error) {
            clock.heard(dateOf(error), System.nanoTime());
            throw new KinesisException(name, refusalOf(error), error);
        } catch (SdkClientException error) {
            throw new KinesisException(name, refusalOf(error), error);
        }
    }

    private static Refusal refusalOf(AwsServiceException error) {
        String code = error.awsErrorDetails() == null ? null : error.awsErrorDetails().errorCode();
        String message = error.awsErrorDetails() == null ? error.getMessage() : error.awsErrorDetails().errorMessage();
        return Refusal.ofCall(code, message, error.statusCode());
    }

    private static Refusal refusalOf(SdkClientException error) {
        String message = String.valueOf(error.getMessage());
        boolean isUnsigned = message.startsWith("Unable to load credentials"); // the SDK has no class for it
        return isUnsigned ? Refusal.withoutCredentials(message) : Refusal.unreadable(message);
    }

    private static long dateOf(KinesisResponse answer) {
        return dateOf(answer.sdkHttpResponse());
    }

    /** Only Kinesis's own answers tell its time: a proxy's page has no request id. */
    private static long dateOf(AwsServiceException error) {
        boolean ours = error.requestId() != null && error.awsErrorDetails() != null;
        return ours ? dateOf(error.awsErrorDetails().sdkHttpResponse()) : 0;
    }

    private static long dateOf(SdkHttpResponse response) {
        return response == null ? 0 : response.firstMatchingHeader("Date").map(StreamClock::millisOf).orElse(0L);
    }
}
