// Reads by a subscription (enhanced fan-out), as @aws-sdk/client-kinesis comes, and prints the first records.
import {
  DescribeStreamSummaryCommand,
  KinesisClient,
  PutRecordCommand,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
} from "@aws-sdk/client-kinesis";

const client = new KinesisClient({ region: "us-east-1" });
const StreamName = process.argv[2];
const described = await client.send(new DescribeStreamSummaryCommand({ StreamName }));
const { StreamARN } = described.StreamDescriptionSummary;
await client.send(new PutRecordCommand({ StreamName, Data: Buffer.from("hello"), PartitionKey: "k" }));
const { Consumer } = await client.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "js" }));
const answer = await client.send(
  new SubscribeToShardCommand({
    ConsumerARN: Consumer.ConsumerARN,
    ShardId: "shardId-000000000000",
    StartingPosition: { Type: "TRIM_HORIZON" },
  }),
);
for await (const event of answer.EventStream) {
  const records = event.SubscribeToShardEvent?.Records ?? [];
  if (records.length) {
    console.log(records.map((one) => Buffer.from(one.Data).toString()).join());
    break;
  }
}
process.exit(0);
