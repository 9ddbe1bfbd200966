"""Each alarm of the template is fired by a fault that is made here, and no other one fires.

The faults are made on a running platform, and measured there. Some cannot be made in a test: requests that wait for
minutes or hours, a batch of 97 seconds, tables that throttle, an archive that is late. For these the evaluator is given
the data points that AWS documents.

Time does not pass: each look at the alarms is a minute after the last one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.infra.test_alarms import ALARMS
from tidemill import reply_queue
from tidemill.contract.attempts import marked
from tidemill.contract.request import Request, encode
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity, Mark, Position
from tidemill_consumers.core.folding.writers import entry
from tidemill_local.platform import Platform
from tidemill_local.watching.alarm import metric
from tidemill_local.watching.alarms import Alarms

pytestmark = pytest.mark.timeout(300)

RULES = """
from tidemill_consumers import Accepted, Emit

def count(state, request):
    return Accepted({"n": (state or {"n": 0})["n"] + 1})

def spin(state, request):
    return Accepted({}, emits=(Emit("spin", request.key),))

RULES = {"count": count, "spin": spin}
"""

START = 1_764_000_000.0
"""A whole number of five minutes."""

MINUTE = 60.0
LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("alarms")
    (folder / "alarming.py").write_text(RULES)
    parameters = {"Rules": "alarming", "ShardCount": "1", "BatchingWindowSeconds": "0", "ArchiveIntervalSeconds": "0"}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        with Platform(0, {**parameters, "EmitDepth": "2", "Photos": "on", "ApplicationSecret": "s" * 43}) as running:
            yield running


class Watch:
    """An operator who looks at the alarms, and whoever else is at work."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.alarms: Alarms = platform.alarms()
        self.now = START
        self._sent = 0
        self._client = platform.emulator.client
        self._outputs = platform.outputs

    @property
    def function(self) -> str:
        return self._outputs["ApplyFunctionName"]

    @property
    def mapping(self) -> str:
        (one,) = self._client("lambda").list_event_source_mappings(FunctionName=self.function)["EventSourceMappings"]
        return str(one["UUID"])

    def of(self, name: str, namespace: str = "Tidemill", **dimensions: str) -> float:
        """The sum of a metric so far."""
        wanted = metric(namespace, name, **(dimensions or {"FunctionName": self.function}))
        return sum(value for _, value in self.alarms.points.of(wanted))

    def put(
        self, cmd: str = "count", key: str | None = None, client: str | None = None, mark: int | None = None
    ) -> str:
        """Put a request on the stream, of a key of its own by default; the key."""
        self._sent += 1
        name = f"{time.monotonic_ns()}"
        key = key or name
        one = Request(id=name, cmd=cmd, key=key, client=client, writer="w", counter=self._sent, data={})
        data = encode(one) if mark is None else marked(encode(one), mark)
        self._client("kinesis").put_record(StreamName=self._outputs["StreamName"], Data=data, PartitionKey=key)
        return key

    def has_risen(self, before: float, name: str, namespace: str, **dimensions: str) -> bool:
        return self.of(name, namespace, **dimensions) > before

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Look, within this minute, until something holds."""
        deadline = time.monotonic() + LONGEST_WAIT
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.alarms.states}"
            time.sleep(0.05)
            self.alarms.look(self.now)

    def applied(self, act: Callable[[], object] | None = None) -> None:
        """Do something, put a request, and look until that is done."""
        before = self.of("Requests")
        if act:
            act()
        self.put()
        self.until(lambda: self.of("Requests") > before, "nothing is applied")

    def minutes(self, count: int, act: Callable[[], object]) -> None:
        """Do something each minute."""
        for _ in range(count):
            act()
            self.alarms.look(self.now)
            self.now += MINUTE
        self.now -= MINUTE

    def rising(self, count: int, act: Callable[[], object], name: str, namespace: str = "Tidemill") -> None:
        """Each minute, do something until the metric rises."""

        def once() -> None:
            before = self.of(name, namespace)
            act()
            self.until(lambda: self.of(name, namespace) > before, f"{name} does not rise")

        self.minutes(count, once)

    def is_through(self) -> None:
        """Wait until all that was put is done."""
        key = self.put()
        table, wanted = self._client("dynamodb"), {"TableName": self._outputs["TableName"], "Key": {"pk": {"S": key}}}
        self.until(lambda: "Item" in table.get_item(**wanted), "nothing is applied")
        self.until(lambda: not self._waiting(), "something is never done")

    def _waiting(self) -> int:
        return sum(one.waiting for source in self.platform.event_sources for one in source.shards)


@pytest.fixture
def watch(platform: Platform) -> Watch:
    return Watch(platform)


FIRED: set[str] = set()
"""The alarms that a fault has fired, alone."""


def fires(watch: Watch, name: str) -> None:
    assert watch.alarms.on == {name}
    FIRED.add(name)


# ── Faults that are made here ────────────────────────────────────────────────────────────────────────────────


def test_no_alarm_is_on_while_all_is_well(watch: Watch) -> None:
    watch.minutes(6, watch.applied)
    assert watch.alarms.on == set()
    quiet = {"ApplyLags", "ApplyFails", "ApplyHasStopped", "QuarantineGrows", "BatchesFailInPart", "ApplyIsSlow"}
    assert {name for name, state in watch.alarms.states.items() if state == "OK"} >= quiet


def test_a_mapping_that_is_disabled(platform: Platform, watch: Watch) -> None:
    """Its topic hears of it; and that it is over, once the mapping goes on."""
    client, mapping = platform.emulator.client, watch.mapping
    came = {"StreamName": platform.outputs["StreamName"]}
    with reply_queue(platform.outputs["OperationsTopicArn"], client_of=client) as queue:
        client("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
        watch.until(lambda: not platform.event_sources, "the mapping goes on")
        for minute in range(10):
            before = watch.of("IncomingRecords", "AWS/Kinesis", **came)
            watch.put()
            watch.until(partial(watch.has_risen, before, "IncomingRecords", "AWS/Kinesis", **came), "nothing comes in")
            assert watch.alarms.on == (set() if minute < 5 else {"ApplyHasStopped"})
            watch.now += MINUTE
        fires(watch, "ApplyHasStopped")
        assert ("ApplyHasStopped", "ALARM") in told(client("sqs"), queue)
        client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)
        watch.until(lambda: bool(platform.event_sources), "the mapping does not go on")
        watch.now += 10 * MINUTE
        watch.minutes(2, watch.applied)
        assert watch.alarms.on == set()
        assert ("ApplyHasStopped", "OK") in told(client("sqs"), queue)


def test_a_function_that_has_no_concurrency(platform: Platform, watch: Watch) -> None:
    functions = platform.emulator.client("lambda")
    functions.put_function_concurrency(FunctionName=watch.function, ReservedConcurrentExecutions=0)
    try:
        watch.rising(3, watch.put, "Throttles", "AWS/Lambda")
        fires(watch, "ApplyIsThrottled")
    finally:
        functions.delete_function_concurrency(FunctionName=watch.function)
    watch.is_through()


def test_a_function_that_cannot_start(platform: Platform, watch: Watch) -> None:
    functions = platform.emulator.client("lambda")
    handler = functions.get_function_configuration(FunctionName=watch.function)["Handler"]
    functions.update_function_configuration(FunctionName=watch.function, Handler="nothing.handler")
    try:
        watch.rising(1, watch.put, "Errors", "AWS/Lambda")
        fires(watch, "ApplyFails")
    finally:
        functions.update_function_configuration(FunctionName=watch.function, Handler=handler)
    watch.is_through()


def test_a_quarantine_that_is_gone(platform: Platform, watch: Watch) -> None:
    s3, bucket = platform.emulator.client("s3"), platform.outputs["QuarantineBucketName"]
    remove(s3, bucket)
    try:
        watch.rising(3, lambda: watch.put("unknown"), "PartialFailures")
        fires(watch, "BatchesFailInPart")
    finally:
        s3.create_bucket(Bucket=bucket)
    watch.is_through()


def test_requests_without_a_rule(watch: Watch) -> None:
    watch.rising(1, lambda: watch.put("unknown"), "Quarantined")
    fires(watch, "QuarantineGrows")


def test_rules_that_emit_to_themselves(watch: Watch) -> None:
    watch.rising(1, lambda: watch.put("spin"), "EmitLoops")
    fires(watch, "EmitsLoop")


def test_a_re_send_that_cannot_be_told_from_a_repeat(platform: Platform, watch: Watch) -> None:
    """The entity forgot writers after its first attempt, and the table does not have them."""
    later = time.time() + 3600
    forgetful = Entity("forgetful", 1, {"n": 1}, writers=entry("another", 1, 1), forgotten=later, lost=later)
    store(platform, forgetful)
    tried = int(time.time() * 1000) - 1000
    watch.rising(1, lambda: watch.put(key="forgetful", mark=tried), "UntoldRepeats")
    fires(watch, "RepeatsAreUntold")


def test_a_key_that_was_in_too_many_shards(platform: Platform, watch: Watch) -> None:
    place = Position(49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898, 0)
    marks = {f"shardId-{number:012}": Mark(place, time.time() - 60, place) for number in range(100, 300)}
    store(platform, Entity("wanderer", 1, {"n": 1}, marks=marks))
    watch.rising(1, lambda: watch.put(key="wanderer"), "EvictedMarks")
    fires(watch, "MarksAreForgotten")


def test_a_topic_that_is_gone(platform: Platform, watch: Watch) -> None:
    sns, topic = platform.emulator.client("sns"), platform.outputs["RepliesTopicArn"]
    sns.delete_topic(TopicArn=topic)
    try:
        watch.rising(3, lambda: watch.put(client="ann"), "ReplyFailures")
        fires(watch, "RepliesFail")
    finally:
        assert sns.create_topic(Name=topic.rpartition(":")[2])["TopicArn"] == topic
    watch.is_through()


def test_a_client_whom_no_message_can_name(watch: Watch) -> None:
    watch.rising(1, lambda: watch.put(client="ann\x85"), "UnansweredRequests")
    fires(watch, "RequestsAreUnanswered")


def test_a_shard_that_is_full(platform: Platform, watch: Watch) -> None:
    """Kinesis counts what it refuses; here the producer does, to whom the platform's limits refuse as many."""
    stream = platform.outputs["StreamName"]
    refused = metric("AWS/Kinesis", "WriteProvisionedThroughputExceeded", StreamName=stream)
    kinesis = platform.emulator.client("kinesis")
    data = encode(Request(id="i", cmd="count", key="full", data={}))

    def fill() -> None:
        failed = 0
        while not failed:
            records: Any = [{"Data": data, "PartitionKey": "full"}] * 500
            failed = kinesis.put_records(StreamName=stream, Records=records)["FailedRecordCount"]
        watch.alarms.points.add(refused, watch.now, [float(failed)])
        watch.applied()

    watch.minutes(3, fill)
    fires(watch, "StreamIsFull")


def test_an_archive_that_is_gone(platform: Platform, watch: Watch) -> None:
    s3, bucket = platform.emulator.client("s3"), platform.outputs["ArchiveBucketName"]
    remove(s3, bucket)
    name = {"DeliveryStreamName": platform.outputs["ArchiveDeliveryStreamName"]}
    failed = metric("AWS/Firehose", "DeliveryToS3.Success", **name)
    try:
        watch.applied()
        watch.until(lambda: (watch.now, 0.0) in watch.alarms.points.of(failed), "the archive does not fail")
        watch.now += 5 * MINUTE
        watch.applied()
        fires(watch, "ArchiveFails")
    finally:
        s3.create_bucket(Bucket=bucket)
    watch.until(lambda: not any(one.trouble for one in platform.delivery_streams), "the archive goes on failing")


# ── Faults by the data points that AWS documents ─────────────────────────────────────────────────────────────

FUNCTION, INDEX, ARCHIVE, TABLE = "ApplyFunctionName", "IndexFunctionName", "ArchiveDeliveryStreamName", "TableName"


@pytest.mark.parametrize(
    ("name", "namespace", "of", "dimension", "output", "value", "minutes"),
    [
        ("ApplyLags", "AWS/Lambda", "IteratorAge", "FunctionName", FUNCTION, 60_001, (0, 5)),
        ("ApplyIsBehind", "AWS/Lambda", "IteratorAge", "FunctionName", FUNCTION, 8_640_001, (0,)),
        ("ApplyIsSlow", "AWS/Lambda", "Duration", "FunctionName", FUNCTION, 96_001, (0,)),
        ("IndexLags", "AWS/Lambda", "IteratorAge", "FunctionName", INDEX, 600_001, (0, 5)),
        ("IndexFails", "AWS/Lambda", "Errors", "FunctionName", INDEX, 1, (0,)),
        ("ArchiveIsLate", "AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", ARCHIVE, 901, (0,)),
        ("TablesAreThrottled", "AWS/DynamoDB", "WriteThrottleEvents", "TableName", TABLE, 3, (0, 1, 2)),
        ("SweepFails", "AWS/Lambda", "Errors", "FunctionName", "SweepFunctionName", 1, (0,)),
    ],
)
def test_what_cannot_be_made_here(
    watch: Watch,
    name: str,
    namespace: str,
    of: str,
    dimension: str,
    output: str,
    value: float,
    minutes: tuple[int, ...],
) -> None:
    """A value one lower fires nothing, but for counts."""
    watched = metric(namespace, of, **{dimension: watch.platform.outputs[output]})
    lower = value - 1 if value > 10 else 0
    for high, on in ((lower, set()), (value, {name})):
        begin = watch.now
        for minute in minutes:
            watch.now = begin + minute * MINUTE
            watch.alarms.points.add(watched, watch.now, [float(high)])
            watch.alarms.look(watch.now)
        assert watch.alarms.on == on
        watch.now = begin + 3600
    FIRED.add(name)


def test_a_throttled_table_is_off_again_when_it_has_nothing_more_to_say(watch: Watch) -> None:
    """Though alarms on DynamoDB's own metrics ignore what is missing."""
    watched = metric("AWS/DynamoDB", "WriteThrottleEvents", TableName=watch.platform.outputs[TABLE])
    for minute in range(6):
        if minute < 3:
            watch.alarms.points.add(watched, watch.now, [1.0])
        watch.alarms.look(watch.now)
        watch.now += MINUTE
    assert watch.alarms.on == set()


def test_every_alarm_was_fired_alone() -> None:
    """By the tests above, if all of this module run."""
    if len(FIRED) < len(ALARMS):
        pytest.skip(f"not all of this module ran: {sorted(ALARMS.keys() - FIRED)}")
    assert set(ALARMS) == FIRED


# ── What the tests share ─────────────────────────────────────────────────────────────────────────────────────


def remove(s3: Any, bucket: str) -> None:
    """Delete a bucket that something may be writing to."""
    deadline = time.monotonic() + LONGEST_WAIT
    while True:
        listed = s3.list_object_versions(Bucket=bucket)
        for one in [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]:
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
        try:
            s3.delete_bucket(Bucket=bucket)
        except ClientError:  # it has something again
            assert time.monotonic() < deadline
        else:
            return


def told(sqs: Any, queue: str) -> set[tuple[str, str]]:
    """The alarms that a queue has heard of, and their states."""
    heard: set[tuple[str, str]] = set()
    while found := sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10).get("Messages"):
        for one in found:
            body = json.loads(one["Body"])
            heard.add((body["AlarmName"], body["NewStateValue"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
    return heard


def store(platform: Platform, entity: Entity) -> None:
    item: Any = to_item(entity)
    platform.emulator.client("dynamodb").put_item(TableName=platform.outputs["TableName"], Item=item)
