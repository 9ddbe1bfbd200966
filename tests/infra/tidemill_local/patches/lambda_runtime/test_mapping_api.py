"""Lambda's and CloudFormation's ways to make event source mappings, and that what is listed is run."""

import base64
import io
import json
import re
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tidemill_local.emulator import Emulator
from tidemill_local.event_sources import EventSources
from tidemill_local.patches.lambda_runtime.mapping_api import CHECKPOINTS

Becomes = Callable[[Callable[[], bool]], bool]
Json = Any

CODE = """
def tell(event, context):
    # The state is for tumbling windows, which fail without.
    return {"function": context.function_name, "event": event, "state": {}}

def fail(event, context):
    raise RuntimeError("no")
"""

SHARD = "shardId-000000000000"
NO_ONE = "arn:aws:kinesis:us-east-1:000000000000:stream/nobody"
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MILLISECONDS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@dataclass
class Place:
    """The emulator with functions in it, what runs mappings beside it, and what the functions told."""

    emulator: Emulator
    running: EventSources
    functions: dict[str, str]
    told: list[Json] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return self.emulator.client(service)

    def runs(self, mapping: str) -> bool:
        return mapping in {source.config.uuid for source in self.running.sources}

    def runs_with(self, mapping: str, batch_size: int) -> bool:
        return (mapping, batch_size) in {(one.config.uuid, one.config.batch_size) for one in self.running.sources}

    def events(self, function: str, stream: str) -> list[Json]:
        """The events that the function had from the stream."""
        ours = [one for one in list(self.told) if isinstance(one, dict) and "event" in one]
        events = [one["event"] for one in ours if one["function"] == self.functions[function]]
        return [event for event in events if event["Records"][0]["eventSourceARN"] == stream]

    def batches(self, function: str, stream: str) -> list[list[int]]:
        """The numbers that `put` gave their records, by event."""
        return [
            [json.loads(base64.b64decode(record["kinesis"]["data"]))["n"] for record in event["Records"]]
            for event in self.events(function, stream)
        ]

    def numbers(self, function: str, stream: str) -> list[int]:
        """The same without the events' bounds, which are anybody's guess for what is put while the mapping reads."""
        return [number for batch in self.batches(function, stream) for number in batch]


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def functions(emulator: Emulator) -> Iterator[dict[str, str]]:
    """Two functions that tell their event, and one that raises: their names."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", CODE)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam, client, role_name = emulator.client("iam"), emulator.client("lambda"), unique("mapped")
    role = iam.create_role(RoleName=role_name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    names = {name: unique(name) for name in ("one", "two", "failing")}
    for name, function in names.items():
        handler = "f.fail" if name == "failing" else "f.tell"
        client.create_function(
            FunctionName=function, Runtime="python3.12", Role=role, Handler=handler, Code={"ZipFile": code.getvalue()}
        )
    yield names
    for function in names.values():
        client.delete_function(FunctionName=function)
    iam.delete_role(RoleName=role_name)


@pytest.fixture(scope="module")
def place(emulator: Emulator, functions: dict[str, str]) -> Iterator[Place]:
    told: list[Json] = []
    running = EventSources(emulator, emulator.kept / CHECKPOINTS, lambda answer: told.append(json.loads(answer)))
    running.start()
    yield Place(emulator, running, functions, told)
    running.stop()


@pytest.fixture
def stream(place: Place) -> Iterator[str]:
    """A stream of one shard: its ARN. What is mapped to it is deleted with it."""
    kinesis, functions, name = place.client("kinesis"), place.client("lambda"), unique("requests")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn: str = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    yield arn
    for mapping in functions.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]:
        functions.delete_event_source_mapping(UUID=mapping["UUID"])
    kinesis.delete_stream(StreamName=name)


@pytest.fixture
def create(place: Place, stream: str) -> Callable[..., Json]:
    """Maps the stream to a function, from its oldest record on."""

    def call(function: str = "one", **options: Any) -> Json:
        given = {"EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON", **options}
        return place.client("lambda").create_event_source_mapping(FunctionName=place.functions[function], **given)

    return call


@pytest.fixture
def put(place: Place, stream: str) -> Callable[..., list[str]]:
    """Puts a record for each number, or for each text as it is; returns the sequence numbers."""

    def call(*records: int | str) -> list[str]:
        data = [json.dumps({"n": one}) if isinstance(one, int) else one for one in records]
        entries = [{"Data": one.encode(), "PartitionKey": "test"} for one in data]
        answer = place.client("kinesis").put_records(StreamARN=stream, Records=entries)
        return [entry["SequenceNumber"] for entry in answer["Records"]]

    return call


def refusal(call: Callable[[], Json]) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    response: Any = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mapping_without_a_starting_position_is_refused(place: Place, stream: str) -> None:
    status, _, message = refusal(
        lambda: place.client("lambda").create_event_source_mapping(
            FunctionName=place.functions["one"], EventSourceArn=stream
        )
    )
    assert status == 400
    assert message == (
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
        "Member must not be null."
    )


@pytest.mark.parametrize(
    "arn", [NO_ONE, "arn:aws:dynamodb:us-east-1:000000000000:table/nobody/stream/2025-11-25T00:00:00.000"]
)
def test_a_mapping_of_an_unknown_stream_is_refused(create: Callable[..., Json], arn: str) -> None:
    assert refusal(lambda: create(EventSourceArn=arn)) == (
        400,
        "InvalidParameterValueException",
        f"Stream not found: {arn}",
    )


def test_a_mapping_to_an_unknown_function_is_refused(place: Place, stream: str) -> None:
    assert refusal(
        lambda: place.client("lambda").create_event_source_mapping(
            FunctionName="nobody", EventSourceArn=stream, StartingPosition="LATEST"
        )
    ) == (400, "InvalidParameterValueException", "Function does not exist")


def test_a_second_mapping_of_a_stream_to_the_same_function_is_refused(
    place: Place, create: Callable[..., Json], stream: str
) -> None:
    first = create(Enabled=False)
    function = place.functions["one"]
    status, code, message = refusal(lambda: create(Enabled=False, StartingPosition="LATEST"))
    assert (status, code) == (409, "ResourceConflictException")
    assert message == (
        f'The event source arn (" {stream} ") and function (" {function} ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {first['UUID']}"
    )
    listed = place.client("lambda").list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    assert [one["UUID"] for one in listed] == [first["UUID"]]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("BatchSize", 10_001),
        ("MaximumRecordAgeInSeconds", 59),
        ("TumblingWindowInSeconds", 901),
        ("FilterCriteria", {"Filters": [{"Pattern": '{"partitionKey": ["1"]}'}]}),
        ("FilterCriteria", {"Filters": [{"Pattern": "data"}]}),
    ],
)
def test_what_is_out_of_its_range_is_refused(
    place: Place, create: Callable[..., Json], stream: str, option: str, value: Any
) -> None:
    status, code, message = refusal(lambda: create(**{option: value}))
    assert (status, code) == (400, "InvalidParameterValueException")
    assert message.startswith(f"{option}: ")
    client = place.client("lambda")
    assert client.list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"] == []
    mapping = create(Enabled=False)["UUID"]
    before = client.get_event_source_mapping(UUID=mapping)
    assert refusal(lambda: client.update_event_source_mapping(UUID=mapping, **{option: value})) == (
        status,
        code,
        message,
    )
    assert settings(client.get_event_source_mapping(UUID=mapping)) == settings(before)


# ── What is kept ─────────────────────────────────────────────────────────────────────────────────────────────────

DEFAULTS = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "TumblingWindowInSeconds": 0,
}

OPTIONS = {
    "BatchSize": 7,
    "BisectBatchOnFunctionError": True,
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:failed"}},
    "FilterCriteria": {"Filters": [{"Pattern": '{"data": {"n": [1]}}'}]},
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
    "MaximumBatchingWindowInSeconds": 3,
    "MaximumRecordAgeInSeconds": 60,
    "MaximumRetryAttempts": 0,
    "ParallelizationFactor": 1,
    "TumblingWindowInSeconds": 30,
}

OTHERS = {
    "BatchSize": 8,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sns:us-east-1:000000000000:failed"}},
    "FilterCriteria": {"Filters": [{"Pattern": '{"data": {"n": [2]}}'}, {"Pattern": '{"data": {"n": [3]}}'}]},
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 4,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": 5,
    "ParallelizationFactor": 10,
    "TumblingWindowInSeconds": 0,
}


def settings(mapping: Json) -> Json:
    """The options, and what the mapping is of."""
    names = {*OPTIONS, "EventSourceArn", "FunctionArn", "StartingPosition", "StartingPositionTimestamp", "State"}
    return {name: mapping[name] for name in names & mapping.keys()}


def test_the_defaults_are_those_of_aws(place: Place, create: Callable[..., Json], stream: str) -> None:
    created = create(Enabled=False)
    function = place.client("lambda").get_function_configuration(FunctionName=place.functions["one"])["FunctionArn"]
    assert settings(created) == DEFAULTS | {
        "EventSourceArn": stream,
        "FunctionArn": function,
        "StartingPosition": "TRIM_HORIZON",
        "State": "Disabled",
    }
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert settings(place.client("lambda").get_event_source_mapping(UUID=created["UUID"])) == settings(created)


def test_all_options_are_told_by_create_get_list_and_update(
    place: Place, create: Callable[..., Json], stream: str
) -> None:
    client = place.client("lambda")
    start = {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": datetime(2025, 11, 25, 12, tzinfo=UTC)}
    created = create(Enabled=False, **start, **OPTIONS)
    wanted = settings(created) | start | OPTIONS
    assert settings(created) == wanted
    assert settings(client.get_event_source_mapping(UUID=created["UUID"])) == wanted
    (listed,) = client.list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    assert settings(listed) == wanted
    updated = client.update_event_source_mapping(UUID=created["UUID"], **OTHERS)
    assert settings(updated) == wanted | OTHERS
    assert settings(client.get_event_source_mapping(UUID=created["UUID"])) == wanted | OTHERS


def test_an_update_leaves_alone_what_it_does_not_name(place: Place, create: Callable[..., Json]) -> None:
    client = place.client("lambda")
    created = create(Enabled=False, **OPTIONS)
    client.update_event_source_mapping(UUID=created["UUID"], MaximumRetryAttempts=9)
    told = client.get_event_source_mapping(UUID=created["UUID"])
    assert settings(told) == settings(created) | {"MaximumRetryAttempts": 9}


# ── What is run ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mapping_made_by_the_api_is_run(
    place: Place, create: Callable[..., Json], stream: str, put: Callable[..., list[str]], becomes: Becomes
) -> None:
    sequences = put(0, 1, 2)
    create()
    assert becomes(lambda: place.batches("one", stream) == [[0, 1, 2]])
    (event,) = place.events("one", stream)
    assert [record["eventID"] for record in event["Records"]] == [f"{SHARD}:{sequence}" for sequence in sequences]
    role = place.client("lambda").get_function_configuration(FunctionName=place.functions["one"])["Role"]
    assert {record["invokeIdentityArn"] for record in event["Records"]} == {role}


def test_two_mappings_on_one_stream_both_get_each_record(
    place: Place, create: Callable[..., Json], stream: str, put: Callable[..., list[str]], becomes: Becomes
) -> None:
    put(0, 1, 2)
    create("one")
    create("two")
    assert becomes(lambda: place.batches("one", stream) == place.batches("two", stream) == [[0, 1, 2]])


def test_a_disabled_mapping_delivers_nothing_until_it_is_enabled_and_then_all_once(
    place: Place, create: Callable[..., Json], stream: str, put: Callable[..., list[str]], becomes: Becomes
) -> None:
    client = place.client("lambda")
    mapping = create("one")["UUID"]
    create("two")
    put(0)
    assert becomes(lambda: place.numbers("one", stream) == place.numbers("two", stream) == [0])
    assert client.update_event_source_mapping(UUID=mapping, Enabled=False)["State"] in ("Disabling", "Disabled")
    assert becomes(lambda: not place.runs(mapping))
    put(1, 2)
    # The other mapping tells that the records had time to come.
    assert becomes(lambda: place.numbers("two", stream) == [0, 1, 2])
    assert place.numbers("one", stream) == [0]
    client.update_event_source_mapping(UUID=mapping, Enabled=True)
    assert becomes(lambda: len(place.numbers("one", stream)) > 1)
    put(3)
    assert becomes(lambda: 3 in place.numbers("one", stream))
    assert place.numbers("one", stream) == [0, 1, 2, 3]


def test_another_batch_size_takes_effect(
    place: Place, create: Callable[..., Json], stream: str, put: Callable[..., list[str]], becomes: Becomes
) -> None:
    put(0, 1, 2, 3)
    mapping = create(BatchSize=2)["UUID"]
    assert becomes(lambda: place.batches("one", stream) == [[0, 1], [2, 3]])
    place.client("lambda").update_event_source_mapping(UUID=mapping, BatchSize=1)
    assert becomes(lambda: place.runs_with(mapping, 1))
    put(4, 5)
    assert becomes(lambda: place.batches("one", stream) == [[0, 1], [2, 3], [4], [5]])


def test_a_mapping_that_is_deleted_stops(
    place: Place, create: Callable[..., Json], stream: str, put: Callable[..., list[str]], becomes: Becomes
) -> None:
    client = place.client("lambda")
    mapping = create("one")["UUID"]
    create("two")
    put(0)
    assert becomes(lambda: place.numbers("one", stream) == place.numbers("two", stream) == [0])
    assert client.delete_event_source_mapping(UUID=mapping)["State"] == "Deleting"
    assert becomes(lambda: not place.runs(mapping))
    put(1)
    assert becomes(lambda: place.numbers("two", stream) == [0, 1])
    assert place.numbers("one", stream) == [0]
    status, code, _ = refusal(lambda: client.get_event_source_mapping(UUID=mapping))
    assert (status, code) == (404, "ResourceNotFoundException")


def test_a_filter_lets_through_what_matches_and_the_handler_sees_base64(
    place: Place, create: Callable[..., Json], stream: str, put: Callable[..., list[str]], becomes: Becomes
) -> None:
    matching = '{"event_type": "function_1", "n": 1}'
    put('{"event_type": "function_2", "n": 0}', matching, "no JSON", '{"n": 2}', '{"event_type": "function_1", "n": 3}')
    create(FilterCriteria={"Filters": [{"Pattern": '{"data":{"event_type":["function_1"]}}'}]})
    assert becomes(lambda: place.batches("one", stream) == [[1, 3]])
    (event,) = place.events("one", stream)
    assert event["Records"][0]["kinesis"]["data"] == base64.b64encode(matching.encode()).decode()


def test_a_tables_stream_is_run_too(place: Place, create: Callable[..., Json], becomes: Becomes) -> None:
    dynamodb, functions, table = place.client("dynamodb"), place.client("lambda"), unique("entities")
    arn = dynamodb.create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]["LatestStreamArn"]
    mapping = create(EventSourceArn=arn)["UUID"]
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "k"}, "n": {"N": "1"}})
    assert becomes(lambda: place.events("one", arn) != [])
    ((record,),) = [event["Records"] for event in place.events("one", arn)]
    assert (record["eventName"], record["dynamodb"]["NewImage"]) == ("INSERT", {"pk": {"S": "k"}, "n": {"N": "1"}})
    functions.delete_event_source_mapping(UUID=mapping)
    dynamodb.delete_table(TableName=table)


# ── What is given up ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def queue(place: Place) -> Iterator[tuple[str, str]]:
    """A queue's URL and ARN; topics may send to it."""
    sqs = place.client("sqs")
    url: str = sqs.create_queue(QueueName=unique("failed"))["QueueUrl"]
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    yield url, arn
    sqs.delete_queue(QueueUrl=url)


def received(place: Place, queue_url: str) -> str:
    """The body of the first message; waits for it."""
    answer = place.client("sqs").receive_message(QueueUrl=queue_url, WaitTimeSeconds=10, MaxNumberOfMessages=10)
    (message,) = answer["Messages"]
    body: str = message["Body"]
    return body


def check_message(said: Json, mapping: Json, sequence: str) -> None:
    """Field by field, and their order."""
    arrived = said["KinesisBatchInfo"]["approximateArrivalOfFirstRecord"]
    wanted = {
        "requestContext": {
            "requestId": said["requestContext"]["requestId"],
            "functionArn": mapping["FunctionArn"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": said["timestamp"],
        "KinesisBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": sequence,
            "endSequenceNumber": sequence,
            "approximateArrivalOfFirstRecord": arrived,
            "approximateArrivalOfLastRecord": arrived,
            "batchSize": 1,
            "streamArn": mapping["EventSourceArn"],
        },
    }
    assert json.dumps(said, indent=1) == json.dumps(wanted, indent=1)
    assert re.fullmatch(UUID, said["requestContext"]["requestId"])
    assert re.fullmatch(MILLISECONDS, said["timestamp"])
    assert re.fullmatch(MILLISECONDS, arrived)
    assert arrived < said["timestamp"]


def gives_up(destination: str) -> Json:
    """The options of a mapping that tries twice."""
    return {
        "BatchSize": 1,
        "MaximumRetryAttempts": 1,
        "DestinationConfig": {"OnFailure": {"Destination": destination}},
    }


def test_a_queue_is_told_of_a_batch_that_is_given_up(
    place: Place, create: Callable[..., Json], put: Callable[..., list[str]], queue: tuple[str, str]
) -> None:
    (sequence,) = put(0)
    mapping = create("failing", **gives_up(queue[1]))
    check_message(json.loads(received(place, queue[0])), mapping, sequence)


def test_a_topic_is_told_the_same(
    place: Place, create: Callable[..., Json], put: Callable[..., list[str]], queue: tuple[str, str]
) -> None:
    sns = place.client("sns")
    topic = sns.create_topic(Name=unique("failed"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue[1])
    (sequence,) = put(0)
    mapping = create("failing", **gives_up(topic))
    notification = json.loads(received(place, queue[0]))
    assert notification["TopicArn"] == topic
    check_message(json.loads(notification["Message"]), mapping, sequence)
    sns.delete_topic(TopicArn=topic)


def test_a_bucket_gets_the_event_beside_it(
    place: Place, create: Callable[..., Json], put: Callable[..., list[str]], becomes: Becomes
) -> None:
    s3, bucket = place.client("s3"), unique("failed")
    s3.create_bucket(Bucket=bucket)
    (sequence,) = put(0)
    mapping = create("failing", **gives_up(f"arn:aws:s3:::{bucket}"))
    assert becomes(lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"] > 0)
    (key,) = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    day, second = r"(\d{4})/(\d\d)/(\d\d)", r"\1-\2-\3T\d\d\.\d\d\.\d\d"
    assert re.fullmatch(f"aws/lambda/{mapping['UUID']}/{SHARD}/{day}/{second}-{UUID}", key)
    said = json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])
    assert list(said)[-1] == "payload"
    (record,) = json.loads(said.pop("payload"))["Records"]
    assert record["eventID"] == f"{SHARD}:{sequence}"
    assert record["kinesis"]["data"] == base64.b64encode(b'{"n": 0}').decode()
    check_message(said, mapping, sequence)
    s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)


# ── Templates ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stack(place: Place) -> Iterator[Callable[..., Json]]:
    """Creates or updates a stack of one mapping with these properties; returns its description when it is settled."""
    cloudformation, name = place.client("cloudformation"), unique("mapped")

    def settle(call: Callable[..., Json], properties: Json) -> Json:
        resource = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}
        template = {
            "Parameters": {"Size": {"Type": "Number", "Default": "3"}},
            "Resources": {"Mapping": resource},
            "Outputs": {"Id": {"Value": {"Ref": "Mapping"}}, "GetId": {"Value": {"Fn::GetAtt": ["Mapping", "Id"]}}},
        }
        call(StackName=name, TemplateBody=json.dumps(template))
        while True:
            described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            if not described["StackStatus"].endswith("IN_PROGRESS"):
                return described
            time.sleep(0.02)

    def create_or_update(properties: Json, *, update: bool = False) -> Json:
        return settle(cloudformation.update_stack if update else cloudformation.create_stack, properties)

    yield create_or_update
    cloudformation.delete_stack(StackName=name)


IN_A_TEMPLATE = {
    **OPTIONS,
    "BatchSize": {"Ref": "Size"},
    "BisectBatchOnFunctionError": "true",
    "MaximumBatchingWindowInSeconds": "1",
    "MaximumRetryAttempts": "0",
    "TumblingWindowInSeconds": "30",
    "StartingPosition": "TRIM_HORIZON",
}
"""Numbers and flags may be text there."""


def test_a_mapping_in_a_template_is_kept_with_all_its_options_and_run(
    place: Place, stream: str, stack: Callable[..., Json], put: Callable[..., list[str]], becomes: Becomes
) -> None:
    put(0, 1, 2)
    created = stack({"EventSourceArn": stream, "FunctionName": place.functions["one"], **IN_A_TEMPLATE})
    assert created["StackStatus"] == "CREATE_COMPLETE"
    (mapping,) = place.client("lambda").list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    assert {output["OutputValue"] for output in created["Outputs"]} == {mapping["UUID"]}
    wanted = settings(mapping) | OPTIONS | {"BatchSize": 3, "MaximumBatchingWindowInSeconds": 1, "State": "Enabled"}
    assert settings(mapping) == wanted
    assert becomes(lambda: place.batches("one", stream) == [[1]])
    (event,) = place.events("one", stream)
    assert (event["shardId"], event["state"], event["isFinalInvokeForWindow"]) == (SHARD, {}, False)


def test_an_update_of_the_template_is_followed(
    place: Place, stream: str, stack: Callable[..., Json], put: Callable[..., list[str]], becomes: Becomes
) -> None:
    base = {"EventSourceArn": stream, "FunctionName": place.functions["one"]}
    created = stack({**base, **IN_A_TEMPLATE, "Enabled": False})
    mapping = created["Outputs"][0]["OutputValue"]
    put(0, 1, 2)
    changed = {"BatchSize": "2", "TumblingWindowInSeconds": "0", "BisectBatchOnFunctionError": "true", "Enabled": True}
    updated = stack({**base, "StartingPosition": "TRIM_HORIZON", **changed}, update=True)
    assert updated["StackStatus"] == "UPDATE_COMPLETE"
    told = place.client("lambda").get_event_source_mapping(UUID=mapping)
    wanted = settings(told) | DEFAULTS | {"BatchSize": 2, "BisectBatchOnFunctionError": True, "State": "Enabled"}
    assert settings(told) == wanted
    assert "FilterCriteria" not in told
    assert becomes(lambda: place.batches("one", stream) == [[0, 1], [2]])


def test_a_mapping_in_a_template_is_refused_as_by_the_api(place: Place, stack: Callable[..., Json]) -> None:
    made = stack({"EventSourceArn": NO_ONE, "FunctionName": place.functions["one"], "StartingPosition": "LATEST"})
    assert made["StackStatus"] == "ROLLBACK_COMPLETE"
    events = place.client("cloudformation").describe_stack_events(StackName=made["StackName"])["StackEvents"]
    assert f"Mapping: Stream not found: {NO_ONE}" in {event.get("ResourceStatusReason") for event in events}


def test_an_update_of_the_template_that_is_out_of_range_changes_nothing(
    place: Place, stream: str, stack: Callable[..., Json]
) -> None:
    base = {"EventSourceArn": stream, "FunctionName": place.functions["one"], "StartingPosition": "LATEST"}
    mapping = stack({**base, "BatchSize": 5, "Enabled": False})["Outputs"][0]["OutputValue"]
    updated = stack({**base, "BatchSize": 10_001, "Enabled": False}, update=True)
    assert updated["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert place.client("lambda").get_event_source_mapping(UUID=mapping)["BatchSize"] == 5


def test_a_mapping_of_a_registered_consumer_is_run(
    place: Place, create: Callable[..., Json], stream: str, put: Callable[..., list[str]], becomes: Becomes
) -> None:
    made = place.client("kinesis").register_stream_consumer(StreamARN=stream, ConsumerName="fan")["Consumer"]
    put(0, 1)
    mapping = create(EventSourceArn=made["ConsumerARN"])
    assert becomes(lambda: place.batches("one", made["ConsumerARN"]) == [[0, 1]])
    place.client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])


def test_one_of_a_consumer_that_is_not_there_is_refused(create: Callable[..., Json], stream: str) -> None:
    arn = f"{stream}/consumer/fan:1764000000"
    assert refusal(lambda: create(EventSourceArn=arn)) == (
        400,
        "InvalidParameterValueException",
        f"Stream not found: {arn}",
    )


def test_metrics_and_key_are_echoed_and_the_metrics_published(
    place: Place, create: Callable[..., Json], put: Callable[..., list[str]], becomes: Becomes
) -> None:
    key, metrics = "arn:aws:kms:us-east-1:000000000000:key/1", {"Metrics": ["EventCount"]}
    put(0, 1)
    mapping = create(MetricsConfig=metrics, KMSKeyArn=key)
    shown = place.client("lambda").get_event_source_mapping(UUID=mapping["UUID"])
    assert [(one["MetricsConfig"], one["KMSKeyArn"]) for one in (mapping, shown)] == [(metrics, key)] * 2
    dimensions = [{"Name": "EventSourceMappingUUID", "Value": mapping["UUID"]}]
    now = datetime.now(UTC)

    def invoked() -> float:
        points = place.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="InvokedEventCount",
            Dimensions=dimensions,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=["Sum"],
        )["Datapoints"]
        return float(sum(point["Sum"] for point in points))

    assert becomes(lambda: invoked() == 2)


@pytest.mark.parametrize(("function", "result"), [("one", "OK"), ("failing", "PROBLEM: Function call failed")])
def test_the_last_result_is_told(
    place: Place,
    create: Callable[..., Json],
    put: Callable[..., list[str]],
    becomes: Becomes,
    function: str,
    result: str,
) -> None:
    mapping = create(function)
    assert mapping["LastProcessingResult"] == "No records processed"
    put(0)
    functions = place.client("lambda")
    assert becomes(lambda: functions.get_event_source_mapping(UUID=mapping["UUID"])["LastProcessingResult"] == result)
