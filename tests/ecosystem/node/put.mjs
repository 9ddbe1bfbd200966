// Puts a record as @aws-sdk/client-kinesis comes, by HTTP/2, and prints how many failed and the protocol.
import { KinesisClient, PutRecordsCommand } from "@aws-sdk/client-kinesis";

const client = new KinesisClient({ region: "us-east-1" });
const Records = [{ Data: Buffer.from('{"from":"sdk"}'), PartitionKey: "k" }];
const answer = await client.send(new PutRecordsCommand({ StreamName: process.argv[2], Records }));
console.log(answer.FailedRecordCount, client.config.requestHandler.metadata.handlerProtocol);
client.destroy();
