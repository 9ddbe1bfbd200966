"""The stack on the emulator: what it gives, and what each role may and may not do."""

import gzip
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.infra.conftest import Invoke, invoking
from tests.signing_in import PASSWORD, sign_in
from tidemill.contract.places import photo_name, upload_name
from tidemill.contract.signature import deregistration, registration
from tidemill_consumers.core.batch import Blob, ref
from tidemill_consumers.operations.sweep import DAY, Sweep
from tidemill_consumers.sweep import swept
from tidemill_deploy.template import template_path
from tidemill_local.clients import EmulatorSession
from tidemill_local.deployment import Deployment, DeploymentFailed, deploy
from tidemill_local.emulator import Emulator

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}


@dataclass(frozen=True)
class Client:
    """A signed-in user of the app."""

    identity: str
    session: EmulatorSession


@pytest.fixture(scope="module")
def client(emulator: Emulator, deployment: Deployment) -> Client:
    """Signed up, signed in with the password, and given credentials by the identity pool."""
    ada = sign_in(emulator, deployment.outputs, "ada")
    return Client(ada.identity, emulator.session(ada.key, ada.secret, ada.token))


def outcome(session: EmulatorSession, service: str, operation: str, arguments: dict[str, Any]) -> str:
    try:
        getattr(session.client(service), operation)(**arguments)
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return "allowed"


def filled(arguments: dict[str, Any], outputs: dict[str, str]) -> dict[str, Any]:
    """The arguments with `{StreamName}` and the like replaced by the stack's outputs."""
    text = json.dumps(arguments)
    for name, value in outputs.items():
        text = text.replace("{" + name + "}", value)
    found: dict[str, Any] = json.loads(text)
    return found


RECORD = {"Data": "x", "PartitionKey": "k"}
STREAM = {"StreamName": "{StreamName}"}
ITEM = {"pk": {"S": "k"}}
INSERT = "INSERT INTO \"{TableName}\" VALUE {'pk': 'k%s'}"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("kinesis", "put_records", STREAM | {"Records": [RECORD]}),
        ("kinesis", "put_record", STREAM | RECORD),
    ],
)
def test_a_client_may_send(
    client: Client, deployment: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert outcome(client.session, service, operation, filled(arguments, dict(deployment.outputs))) == "allowed"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("kinesis", "put_record", {"StreamName": "other"} | RECORD),
        ("kinesis", "describe_stream_summary", STREAM),
        ("kinesis", "list_shards", STREAM),
        (
            "kinesis",
            "get_shard_iterator",
            STREAM | {"ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"},
        ),
        ("kinesis", "delete_stream", STREAM),
        ("dynamodb", "get_item", {"TableName": "{TableName}", "Key": ITEM}),
        ("dynamodb", "put_item", {"TableName": "{TableName}", "Item": ITEM}),
        ("dynamodb", "scan", {"TableName": "{TableName}"}),
        ("dynamodb", "get_item", {"TableName": "{DevicesTableName}", "Key": ITEM}),
        ("dynamodb", "put_item", {"TableName": "{DevicesTableName}", "Item": ITEM}),
        ("dynamodb", "update_item", {"TableName": "{DevicesTableName}", "Key": ITEM}),
        ("s3", "list_objects_v2", {"Bucket": "{ArchiveBucketName}"}),
        ("s3", "put_object", {"Bucket": "{ArchiveBucketName}", "Key": "k", "Body": "x"}),
        ("s3", "list_objects_v2", {"Bucket": "{QuarantineBucketName}"}),
        ("sns", "publish", {"TopicArn": "{RepliesTopicArn}", "Message": "x"}),
        ("lambda", "invoke", {"FunctionName": "{ApplyFunctionName}"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "{ApplicationSecretArn}"}),
        ("sqs", "create_queue", {"QueueName": "tidemill-client-new"}),
        ("iam", "list_roles", {}),
        ("sts", "assume_role", {"RoleArn": "{ClientRoleArn}", "RoleSessionName": "client"}),
    ],
)
def test_and_nothing_else(
    client: Client, deployment: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert outcome(client.session, service, operation, filled(arguments, dict(deployment.outputs))) in DENIED


def test_a_client_reads_its_own_replies_and_nobody_elses(emulator: Emulator, client: Client) -> None:
    sqs = emulator.client("sqs")
    tags = {"identity": client.identity}
    mine = sqs.create_queue(QueueName="tidemill-client-mine", tags=tags)["QueueUrl"]
    other = sqs.create_queue(QueueName="tidemill-client-other", tags={"identity": "other"})["QueueUrl"]
    assert outcome(client.session, "sqs", "receive_message", {"QueueUrl": other}) in DENIED
    assert outcome(client.session, "sqs", "receive_message", {"QueueUrl": mine}) == "allowed"
    assert outcome(client.session, "sqs", "send_message", {"QueueUrl": mine, "MessageBody": "x"}) in DENIED


def test_a_client_uploads_below_its_own_identity_and_nowhere_else(client: Client, deployment: Deployment) -> None:
    bucket = {"Bucket": deployment.outputs["ContentBucketName"]}

    def said(operation: str, name: str, **more: Any) -> str:
        return outcome(client.session, "s3", operation, bucket | {"Key": name} | more)

    mine, others = (upload_name(identity, "0f" * 32) for identity in (client.identity, f"{client.identity}0"))
    assert said("put_object", mine, Body=b"{}") == "allowed"
    assert said("put_object", others, Body=b"{}") in DENIED
    assert said("get_object", mine) in DENIED
    photo, other = (photo_name(identity, "content/42") for identity in (client.identity, "other"))
    for operation, more in [("put_object", {"Body": b"x"}), ("get_object", {}), ("delete_object", {})]:
        assert said(operation, photo, **more) == "allowed"
        assert said(operation, other, **more) in DENIED
    assert said("put_object", "objects/" + "0f" * 32, Body=b"x") in DENIED
    assert outcome(client.session, "s3", "list_objects_v2", bucket) in DENIED


def test_a_client_registers_devices_of_its_own_and_of_nobody_else(client: Client, deployment: Deployment) -> None:
    key = "A" * 43
    table = {"TableName": deployment.outputs["DevicesTableName"]}
    for change in (registration, deregistration):
        assert outcome(client.session, "dynamodb", "update_item", table | change(client.identity, key)) == "allowed"
        assert outcome(client.session, "dynamodb", "update_item", table | change("bob", key)) in DENIED
    mine = {"Key": {"pk": {"S": client.identity}}}
    for operation in ("get_item", "delete_item"):
        assert outcome(client.session, "dynamodb", operation, table | mine) in DENIED


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("kinesis", "describe_stream_summary", STREAM),
        ("kinesis", "list_shards", STREAM),
        ("kinesis", "put_records", STREAM | {"Records": [RECORD]}),
        ("dynamodb", "batch_get_item", {"RequestItems": {"{TableName}": {"Keys": [ITEM]}}}),
        ("dynamodb", "batch_get_item", {"RequestItems": {"{DevicesTableName}": {"Keys": [ITEM]}}}),
        ("dynamodb", "batch_execute_statement", {"Statements": [{"Statement": INSERT % 1}]}),
        ("sns", "publish", {"TopicArn": "{RepliesTopicArn}", "Message": "x"}),
        ("s3", "put_object", {"Bucket": "{QuarantineBucketName}", "Key": "k", "Body": "x"}),
        ("s3", "list_objects_v2", {"Bucket": "{ContentBucketName}"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "{ApplicationSecretArn}"}),
    ],
)
def test_the_function_may_do_its_work(
    invoke: Invoke, deployment: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    arguments = filled(arguments, dict(deployment.outputs))
    assert invoke({"call": [service, operation, arguments]}) == "allowed"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("kinesis", "put_record", STREAM | RECORD),
        ("kinesis", "put_records", {"StreamName": "other", "Records": [RECORD]}),
        ("kinesis", "delete_stream", STREAM),
        ("dynamodb", "scan", {"TableName": "{TableName}"}),
        ("dynamodb", "put_item", {"TableName": "{TableName}", "Item": ITEM}),
        ("dynamodb", "delete_item", {"TableName": "{TableName}", "Key": ITEM}),
        ("dynamodb", "put_item", {"TableName": "{DevicesTableName}", "Item": ITEM}),
        ("dynamodb", "update_item", {"TableName": "{DevicesTableName}", "Key": ITEM}),
        ("dynamodb", "batch_get_item", {"RequestItems": {"other": {"Keys": [ITEM]}}}),
        ("s3", "get_object", {"Bucket": "{QuarantineBucketName}", "Key": "k"}),
        ("s3", "delete_object", {"Bucket": "{QuarantineBucketName}", "Key": "k"}),
        ("s3", "put_object", {"Bucket": "{ArchiveBucketName}", "Key": "k", "Body": "x"}),
        (
            "sns",
            "subscribe",
            {"TopicArn": "{RepliesTopicArn}", "Protocol": "email", "Endpoint": "a@example.com"},
        ),
        ("sns", "publish", {"TopicArn": "{RepliesTopicArn}x", "Message": "x"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "{ApplicationSecretArn}x"}),
        ("secretsmanager", "put_secret_value", {"SecretId": "{ApplicationSecretArn}", "SecretString": "x"}),
        ("logs", "create_log_group", {"logGroupName": "/aws/lambda/other"}),
        ("lambda", "invoke", {"FunctionName": "{ApplyFunctionName}"}),
        ("iam", "list_roles", {}),
    ],
)
def test_the_function_may_do_nothing_else(
    invoke: Invoke, deployment: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    arguments = filled(arguments, dict(deployment.outputs))
    assert invoke({"call": [service, operation, arguments]}) in DENIED


@pytest.fixture(scope="module")
def as_sweep(emulator: Emulator, deployment: Deployment) -> Invoke:
    """Invokes the probe as the function that deletes objects which nothing names."""
    return invoking(emulator, deployment.outputs["SweepFunctionName"])


def test_the_sweep_does_its_work_under_its_own_role(
    emulator: Emulator, deployment: Deployment, as_sweep: Invoke
) -> None:
    bucket, table = (deployment.outputs[name] for name in ("ContentBucketName", "TableName"))
    s3, blobs = emulator.client("s3"), [Blob(b"named by a document"), Blob(b"named by none")]
    named, unnamed = (ref(blob)["object"] for blob in blobs)
    for blob in blobs:
        s3.put_object(Bucket=bucket, Key=ref(blob)["object"], Body=blob.data)
    item: Any = {"pk": {"S": "with-an-object"}, "doc": {"M": {"picture": {"S": named}}}}
    emulator.client("dynamodb").put_item(TableName=table, Item=item)
    its = as_sweep({})["environment"]
    own = emulator.session(its["AWS_ACCESS_KEY_ID"], its["AWS_SECRET_ACCESS_KEY"], its["AWS_SESSION_TOKEN"])
    assert outcome(own, "sts", "get_caller_identity", {}) == "allowed", "its role's keys, not root's"
    later = time.time() + 3_600.0 + DAY + 60.0
    sweep = Sweep(own.client("s3"), bucket, own.client("dynamodb"), table, 3_600.0, clock=lambda: later)
    found = swept(sweep)
    assert (found["deleted"], found["bytes"]) == (1, len(blobs[1].data))
    left = {one["Key"] for one in s3.list_object_versions(Bucket=bucket, Prefix="objects/").get("Versions", [])}
    assert named in left
    assert unnamed not in left


MARKED = {"Key": "objects/k", "VersionId": "v"}
VERSION = {"Bucket": "{ContentBucketName}", "VersionId": "v"}


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("s3", "get_object", {"Bucket": "{ContentBucketName}", "Key": "objects/k"}),
        ("s3", "put_object", {"Bucket": "{ContentBucketName}", "Key": "objects/k", "Body": "x"}),
        ("s3", "delete_object", {"Bucket": "{ContentBucketName}", "Key": "objects/k"}),
        ("s3", "delete_object", VERSION | {"Key": "uploads/k"}),
        ("s3", "delete_object", VERSION | {"Key": "photos/k"}),
        ("s3", "delete_objects", {"Bucket": "{ContentBucketName}", "Delete": {"Objects": [{"Key": "objects/k"}]}}),
        (
            "s3",
            "delete_objects",
            {"Bucket": "{ContentBucketName}", "Delete": {"Objects": [MARKED, {"Key": "objects/k"}]}},
        ),
        ("s3", "list_object_versions", {"Bucket": "{ContentBucketName}"}),
        ("s3", "list_object_versions", {"Bucket": "{ContentBucketName}", "Prefix": "uploads/"}),
        ("s3", "list_objects_v2", {"Bucket": "{ContentBucketName}", "Prefix": "objects/"}),
        ("s3", "list_object_versions", {"Bucket": "{QuarantineBucketName}", "Prefix": "objects/0"}),
        ("s3", "delete_object", {"Bucket": "{ArchiveBucketName}", "Key": "objects/k", "VersionId": "v"}),
        ("dynamodb", "scan", {"TableName": "{DevicesTableName}"}),
        ("dynamodb", "get_item", {"TableName": "{TableName}", "Key": ITEM}),
        ("dynamodb", "put_item", {"TableName": "{TableName}", "Item": ITEM}),
        ("dynamodb", "delete_item", {"TableName": "{TableName}", "Key": ITEM}),
        ("kinesis", "put_record", STREAM | RECORD),
        ("sns", "publish", {"TopicArn": "{RepliesTopicArn}", "Message": "x"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "{ApplicationSecretArn}"}),
        ("lambda", "invoke", {"FunctionName": "{SweepFunctionName}"}),
        ("iam", "list_roles", {}),
    ],
)
def test_the_sweep_may_do_nothing_else(
    as_sweep: Invoke, deployment: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert as_sweep({"call": [service, operation, filled(arguments, dict(deployment.outputs))]}) in DENIED


@pytest.fixture(scope="module")
def operator(emulator: Emulator, deployment: Deployment) -> EmulatorSession:
    """Whoever has the stack's policy for operators, and no other."""
    iam = emulator.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="operator", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="operator", PolicyArn=deployment.outputs["OperatorPolicyArn"])
    keys = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="operator")["Credentials"]
    for output in ("ArchiveBucketName", "QuarantineBucketName", "ContentBucketName"):
        emulator.client("s3").put_object(Bucket=deployment.outputs[output], Key="k", Body=b"x")
    landed = {"Bucket": deployment.outputs["ArchiveBucketName"], "Key": "landing/dt=2026-11-24/hour=07/one.ndjson.gz"}
    emulator.client("s3").put_object(**landed, Body=gzip.compress(b"no request"))
    return emulator.session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


FIRST_SHARD = "shardId-000000000000"
COPY = {"Bucket": "{QuarantineBucketName}", "Key": "copy", "CopySource": "{QuarantineBucketName}/k"}


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("cloudformation", "describe_stacks", {"StackName": "probe"}),
        ("kinesis", "describe_stream_summary", STREAM),
        ("kinesis", "put_records", STREAM | {"Records": [RECORD]}),
        ("kinesis", "list_shards", STREAM),
        ("kinesis", "get_shard_iterator", STREAM | {"ShardId": FIRST_SHARD, "ShardIteratorType": "LATEST"}),
        ("kinesis", "update_shard_count", STREAM | {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}),
        ("s3", "list_objects_v2", {"Bucket": "{ArchiveBucketName}"}),
        ("s3", "get_object", {"Bucket": "{ArchiveBucketName}", "Key": "k"}),
        ("s3", "list_objects_v2", {"Bucket": "{QuarantineBucketName}"}),
        ("s3", "get_object", {"Bucket": "{QuarantineBucketName}", "Key": "k"}),
        ("s3", "copy_object", COPY),
        ("s3", "delete_object", {"Bucket": "{QuarantineBucketName}", "Key": "copy"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "{ApplicationSecretArn}"}),
    ],
)
def test_an_operator_may_redrive_query_and_replay(
    operator: EmulatorSession, deployment: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert outcome(operator, service, operation, filled(arguments, dict(deployment.outputs))) == "allowed"


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("cloudformation", "delete_stack", {"StackName": "probe"}),
        ("kinesis", "put_records", {"StreamName": "other", "Records": [RECORD]}),
        ("kinesis", "delete_stream", STREAM),
        ("kinesis", "split_shard", STREAM | {"ShardToSplit": FIRST_SHARD, "NewStartingHashKey": "7"}),
        ("s3", "delete_object", {"Bucket": "{ArchiveBucketName}", "Key": "k"}),
        ("s3", "put_object", {"Bucket": "{ArchiveBucketName}", "Key": "k", "Body": "x"}),
        ("s3", "delete_bucket", {"Bucket": "{QuarantineBucketName}"}),
        ("dynamodb", "get_item", {"TableName": "{TableName}", "Key": ITEM}),
        ("dynamodb", "put_item", {"TableName": "{TableName}", "Item": ITEM}),
        ("dynamodb", "update_item", {"TableName": "{DevicesTableName}", "Key": ITEM}),
        ("secretsmanager", "put_secret_value", {"SecretId": "{ApplicationSecretArn}", "SecretString": "x"}),
        ("lambda", "invoke", {"FunctionName": "{ApplyFunctionName}"}),
        ("sns", "publish", {"TopicArn": "{RepliesTopicArn}", "Message": "x"}),
        ("iam", "list_roles", {}),
    ],
)
def test_an_operator_may_do_nothing_else(
    operator: EmulatorSession, deployment: Deployment, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    assert outcome(operator, service, operation, filled(arguments, dict(deployment.outputs))) in DENIED


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["redrive", "--stack", "probe"], "the quarantine holds nothing that matches"),
        (["query", "--sql", "SELECT count(*) AS n FROM requests", "--archive", "s3://{ArchiveBucketName}"], "n"),
        (["send", "--stack", "probe", "--no-reply", "content.like", "content/1"], "is on the stream"),
        (["near", "1", "2", "--stack", "probe"], "nothing within 5 km of 1, 2"),
    ],
)
def test_an_operators_commands_need_no_more(
    emulator: Emulator, deployment: Deployment, operator: EmulatorSession, command: list[str], said: str
) -> None:
    keys = operator.client("s3")._request_signer._credentials
    environment = {
        "AWS_ENDPOINT_URL": emulator.endpoint_url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }
    words = [word.format(**deployment.outputs) for word in command]
    tidemill = Path(sys.executable).parent / "tidemill"
    done = subprocess.run([tidemill, *words], env=environment, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    assert done.returncode == 0
    assert said in done.stdout


def test_whoever_signs_up_ends_with_a_proved_address_and_without_its_code_cannot_sign_in(
    emulator: Emulator, deployment: Deployment
) -> None:
    users, app = emulator.client("cognito-idp"), deployment.outputs["UserPoolClientId"]
    with pytest.raises(ClientError, match="email"):
        users.sign_up(ClientId=app, Username="not an address", Password=PASSWORD)
    asked = users.sign_up(ClientId=app, Username="newcomer@example.com", Password=PASSWORD)
    assert not asked["UserConfirmed"]
    assert asked["CodeDeliveryDetails"]["AttributeName"] == "email", "Cognito sends the code that ends it"
    way = {"ClientId": app, "AuthFlow": "USER_PASSWORD_AUTH"}
    entry = {"USERNAME": "newcomer@example.com", "PASSWORD": PASSWORD}
    with pytest.raises(ClientError, match="UserNotConfirmed"):
        users.initiate_auth(**way, AuthParameters=entry)


def test_tables_refuse_to_be_deleted_and_so_is_the_pool_told_to(emulator: Emulator, deployment: Deployment) -> None:
    outputs = deployment.outputs
    for name in ("TableName", "DevicesTableName", "ForgottenWritersTableName"):
        with pytest.raises(ClientError, match="protect"):
            emulator.client("dynamodb").delete_table(TableName=outputs[name])
    # The emulator keeps this, and deletes the pool all the same.
    pool = emulator.client("cognito-idp").describe_user_pool(UserPoolId=outputs["UserPoolId"])["UserPool"]
    assert pool["DeletionProtection"] == "ACTIVE"


KEY = "arn:aws:kms:us-east-1:000000000000:key/own"


@pytest.fixture(scope="module")
def full(emulator: Emulator, probe_code: bytes) -> Deployment:
    """The stack with everything that it can have."""
    given = {
        "DirectEndpoint": "on",
        "KeyArn": KEY,
        "StreamMode": "ON_DEMAND",
        "ReservedConcurrency": "4",
        "Analytics": "on",
    }
    return deploy(emulator, template_path(), given, code=probe_code, stack="full")


def test_a_key_of_ones_own_encrypts_what_is_stored(emulator: Emulator, full: Deployment) -> None:
    outputs = full.outputs
    stream = emulator.client("kinesis").describe_stream_summary(StreamName=outputs["StreamName"])
    assert stream["StreamDescriptionSummary"]["KeyId"] == KEY
    topic = emulator.client("sns").get_topic_attributes(TopicArn=outputs["RepliesTopicArn"])
    assert topic["Attributes"]["KmsMasterKeyId"] == KEY
    for name in ("TableName", "DevicesTableName", "DeliveriesTableName", "ForgottenWritersTableName"):
        table = emulator.client("dynamodb").describe_table(TableName=outputs[name])["Table"]
        assert table["SSEDescription"]["KMSMasterKeyArn"] == KEY
    for name in ("ArchiveBucketName", "QuarantineBucketName", "ContentBucketName"):
        found = emulator.client("s3").get_bucket_encryption(Bucket=outputs[name])["ServerSideEncryptionConfiguration"]
        assert found["Rules"][0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY


def test_what_was_overwritten_in_a_bucket_is_kept_for_a_while(emulator: Emulator, full: Deployment) -> None:
    s3, bucket = emulator.client("s3"), full.outputs["ArchiveBucketName"]
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
    s3.delete_object(Bucket=bucket, Key="k")
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
    rules = {one["ID"]: one for one in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}
    assert rules["noncurrent-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_a_stream_on_demand_has_its_own_number_of_shards(emulator: Emulator, full: Deployment) -> None:
    stream = emulator.client("kinesis").describe_stream_summary(StreamName=full.outputs["StreamName"])
    assert stream["StreamDescriptionSummary"]["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert stream["StreamDescriptionSummary"]["OpenShardCount"] == 4


def test_functions_have_the_concurrency_that_was_asked_for_and_no_more(emulator: Emulator, full: Deployment) -> None:
    functions = emulator.client("lambda")
    found = {
        name: functions.get_function_concurrency(FunctionName=full.outputs[name]).get("ReservedConcurrentExecutions")
        for name in ("ApplyFunctionName", "DirectFunctionName")
    }
    assert found == {"ApplyFunctionName": 4, "DirectFunctionName": 50}


def test_a_function_logs_into_the_group_that_the_outputs_name(
    emulator: Emulator, deployment: Deployment, invoke: Invoke
) -> None:
    invoke({"print": "said"})
    events = emulator.client("logs").filter_log_events(logGroupName=deployment.outputs["ApplyLogGroupName"])["events"]
    assert "said" in {one["message"].strip() for one in events}
    (group,) = emulator.client("logs").describe_log_groups(logGroupNamePrefix=deployment.outputs["ApplyLogGroupName"])[
        "logGroups"
    ]
    assert group["retentionInDays"] == 30


def test_the_templates_settings_reach_the_function(invoke: Invoke, deployment: Deployment) -> None:
    environment = invoke({})["environment"]
    assert {name: value for name, value in environment.items() if name.startswith("TIDEMILL_")} == {
        "TIDEMILL_STREAM": deployment.outputs["StreamName"],
        "TIDEMILL_TABLE": deployment.outputs["TableName"],
        "TIDEMILL_REPLIES_TOPIC_ARN": deployment.outputs["RepliesTopicArn"],
        "TIDEMILL_QUARANTINE_BUCKET": deployment.outputs["QuarantineBucketName"],
        "TIDEMILL_CONTENT_BUCKET": deployment.outputs["ContentBucketName"],
        "TIDEMILL_RULES": "tidemill_consumers.media",
        "TIDEMILL_RETENTION_HOURS": "24",
        "TIDEMILL_REMEMBERED_MIB": "16",
        "TIDEMILL_RULE_SECONDS": "5",
        "TIDEMILL_DEVICES_TABLE": deployment.outputs["DevicesTableName"],
        "TIDEMILL_DELIVERIES_TABLE": deployment.outputs["DeliveriesTableName"],
        "TIDEMILL_FORGOTTEN_WRITERS_TABLE": deployment.outputs["ForgottenWritersTableName"],
        "TIDEMILL_REPEAT_HORIZON_SECONDS": "3600",
        "TIDEMILL_EMIT_DEPTH": "16",
        "TIDEMILL_AGGREGATED_STREAM_ARN": "",
        "TIDEMILL_ANALYTICS_PERIODS": "",
        "TIDEMILL_TRACES": "off",
        "TIDEMILL_TRACES_HEADERS_SECRET_ARN": "",
        "TIDEMILL_APPLICATION_SECRET_ARN": deployment.outputs["ApplicationSecretArn"],
    }


def test_nothing_of_this_process_reaches_the_function(emulator: Emulator, invoke: Invoke) -> None:
    """The shared emulator was started with whatever environment the tests run in."""
    environment = invoke({})["environment"]
    assert environment["AWS_ENDPOINT_URL"] == emulator.endpoint_url
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["HOME"] == environment["TMPDIR"]
    assert not [name for name in environment if name.startswith(("PYTEST", "VIRTUAL_ENV", "PYTHONPATH"))]


@pytest.mark.parametrize("text", ["hello", '{"status": "ok", "result": 1}', "x" * 100_000, "a\nb\n\n"])
def test_what_a_function_prints_is_not_its_answer(invoke: Invoke, text: str) -> None:
    assert "pid" in invoke({"print": text})


def test_what_is_run_here_is_resolved_to_plain_values(deployment: Deployment) -> None:
    (archive,) = [one for one in deployment.local_resources if one.logical_id == "Archive"]
    assert archive.physical_id == deployment.outputs["ArchiveDeliveryStreamName"]
    destination = archive.properties["ExtendedS3DestinationConfiguration"]
    assert destination["BucketARN"] == f"arn:aws:s3:::{deployment.outputs['ArchiveBucketName']}"
    assert destination["BufferingHints"] == {"IntervalInSeconds": 60, "SizeInMBs": 64}
    assert destination["Prefix"] == "landing/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/"


def test_an_alarm_is_resolved_with_its_expression(deployment: Deployment) -> None:
    (alarm,) = [one for one in deployment.local_resources if one.logical_id == "ApplyLags"]
    lag, result = alarm.properties["Metrics"]
    function = {"Name": "FunctionName", "Value": deployment.outputs["ApplyFunctionName"]}
    assert lag["MetricStat"]["Metric"]["Dimensions"] == [function]
    assert result["Expression"] == "MIN([lag - 60000, lag - 5000 * 5])"
    assert alarm.properties["AlarmActions"] == [deployment.outputs["OperationsTopicArn"]]


def test_the_event_source_mapping_is_there_for_whoever_runs_it(emulator: Emulator, deployment: Deployment) -> None:
    listed = emulator.client("lambda").list_event_source_mappings(EventSourceArn=deployment.outputs["StreamArn"])
    (mapping,) = listed["EventSourceMappings"]
    assert mapping["FunctionArn"].endswith(f":{deployment.outputs['ApplyFunctionName']}")
    assert mapping["BatchSize"] == 1000
    assert mapping["MaximumRetryAttempts"] == -1
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["MetricsConfig"] == {"Metrics": ["EventCount"]}


def test_the_stages_stream_has_a_mapping_of_its_own_if_there_is_one(
    emulator: Emulator, deployment: Deployment, full: Deployment
) -> None:
    assert "AggregatedStreamName" not in deployment.outputs
    outputs = full.outputs
    listed = emulator.client("lambda").list_event_source_mappings(FunctionName=outputs["ApplyFunctionName"])
    streams = {one["EventSourceArn"].rpartition("/")[2] for one in listed["EventSourceMappings"]}
    assert streams == {outputs["StreamName"], outputs["AggregatedStreamName"]}
    function = emulator.client("lambda").get_function_configuration(FunctionName=outputs["ApplyFunctionName"])
    variables = function["Environment"]["Variables"]
    assert variables["TIDEMILL_AGGREGATED_STREAM_ARN"].endswith(f"/{outputs['AggregatedStreamName']}")


def test_the_stage_itself_is_not_there(full: Deployment) -> None:
    """Flink is no part of the local platform, which says so when it starts."""
    assert "StageName" not in full.outputs
    assert not [one for one in full.local_resources if one.logical_id.startswith("Stage")]


def test_the_stream_has_the_shards_that_were_asked_for(emulator: Emulator, deployment: Deployment) -> None:
    shards = emulator.client("kinesis").list_shards(StreamName=deployment.outputs["StreamName"])["Shards"]
    assert len([one for one in shards if "ParentShardId" not in one]) == 1, "others may have been split off since"


@pytest.mark.parametrize(
    ("name", "wrong", "why"),
    [
        (
            "fails",
            "{Type: 'AWS::SSM::Parameter', Properties: {Type: SecureString, Value: x}}",
            r"\n  Wrong: .* not supported",
        ),
        ("is-refused", "{Type: 'AWS::Nothing::AtAll'}", "AWS::Nothing::AtAll"),
    ],
)
def test_a_stack_that_cannot_stand_says_what_and_why(
    emulator: Emulator, tmp_path: Path, name: str, wrong: str, why: str
) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(
        f"Parameters: {{CodeBucket: {{Type: String}}, CodeKey: {{Type: String}}}}\nResources:\n  Wrong: {wrong}\n"
    )
    with pytest.raises(DeploymentFailed, match=rf"(?s)the stack {name} .*{why}"):
        deploy(emulator, template, {}, code=b"-", stack=name)


def test_a_setting_out_of_its_bounds_is_refused(emulator: Emulator, probe_code: bytes) -> None:
    with pytest.raises(DeploymentFailed, match="BatchSize"):
        deploy(emulator, template_path(), {"BatchSize": "10001"}, code=probe_code, stack="too-much")
