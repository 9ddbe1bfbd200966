// Records three events with Amplify, with the credentials of a user who signed in.
import { Amplify } from "aws-amplify";
import { flushEvents, record } from "aws-amplify/analytics/kinesis";

const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
const credentials = {
  accessKeyId: AWS_ACCESS_KEY_ID,
  secretAccessKey: AWS_SECRET_ACCESS_KEY,
  sessionToken: AWS_SESSION_TOKEN,
};
const credentialsProvider = {
  getCredentialsAndIdentityId: async () => ({ credentials, identityId: "us-east-1:1" }),
  clearCredentialsAndIdentityId() {},
};
Amplify.configure(
  {
    Analytics: { Kinesis: { region: "us-east-1", flushInterval: 200 } },
    Auth: { Cognito: { identityPoolId: "us-east-1:1", allowGuestAccess: true } },
  },
  { Auth: { credentialsProvider } },
);
for (let n = 0; n < 3; n++) {
  record({ streamName: process.argv[2], partitionKey: "photo/1", data: { cmd: "content.view", v: 1, n } });
}
flushEvents();
// Amplify tells nobody when it has sent.
await new Promise((go) => setTimeout(go, 3000));
process.exit(0);
