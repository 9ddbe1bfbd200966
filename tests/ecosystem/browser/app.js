// An app in a browser: signs in, sends requests in three ways, hears the replies, and tells the test how it went.
import { KinesisClient, ListStreamsCommand, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { Amplify } from "aws-amplify";
import { flushEvents, record } from "aws-amplify/analytics/kinesis";
import { fetchAuthSession, signIn } from "aws-amplify/auth";

const region = "us-east-1";
const post = async (path, value) => (await fetch(path, { method: "POST", body: JSON.stringify(value) })).text();
const named = (promise) => promise.then(() => "done", (error) => error.name);

function request(client) {
  return { v: 1, id: crypto.randomUUID(), cmd: "content.view", client, data: {} };
}

async function put(kinesis, StreamName, key, client, count) {
  const requests = Array.from({ length: count }, () => request(client));
  const Records = requests.map((one) => ({ PartitionKey: key, Data: new TextEncoder().encode(JSON.stringify(one)) }));
  const { FailedRecordCount } = await kinesis.send(new PutRecordsCommand({ StreamName, Records }));
  if (FailedRecordCount) throw new Error(`${FailedRecordCount} failed`);
  return requests;
}

async function hear(sqs, QueueUrl, count, until) {
  const heard = {};
  while (Object.keys(heard).length < count && Date.now() < until) {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 2, MaxNumberOfMessages: 10 }));
    for (const { Body, ReceiptHandle } of Messages) {
      for (const { id, status } of JSON.parse(Body).replies) heard[id] = status;
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    }
  }
  return heard;
}

async function run() {
  const { stream, endpoint, userPoolId, userPoolClientId, identityPoolId, username, password, count } =
    await (await fetch("settings")).json();
  Amplify.configure({
    Auth: { Cognito: { userPoolId, userPoolClientId, identityPoolId } },
    Analytics: { Kinesis: { region, flushInterval: 200 } },
  });
  await signIn({ username, password });
  const { credentials, identityId } = await fetchAuthSession();
  const queue = await post("identity", identityId);

  const asItComes = new KinesisClient({ region, credentials });
  const local = new KinesisClient({ region, credentials, endpoint });
  const sent = [
    ...(await put(asItComes, stream, "content/tls", username, count)),
    ...(await put(local, stream, "content/plain", username, count)),
  ];
  for (let n = 0; n < count; n++) {
    sent.push(request(username));
    record({ streamName: stream, partitionKey: "content/amplify", data: sent.at(-1) });
  }
  flushEvents();

  const wrong = { ...credentials, secretAccessKey: "wrong" };
  const forged = new KinesisClient({ region, credentials: wrong, endpoint });
  const refusals = {
    forbidden: await named(local.send(new ListStreamsCommand({}))),
    forged: await named(put(forged, stream, "content/forged", username, 1)),
  };
  const heard = await hear(new SQSClient({ region, credentials }), queue, sent.length, Date.now() + 60_000);
  return { sent: sent.map(({ id }) => id), heard, refusals };
}

run().catch((error) => ({ error: `${error.name}: ${error.message}` })).then((outcome) => post("outcome", outcome));
