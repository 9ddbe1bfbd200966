"""Each alarm of the template is fired by a fault that is made here, and no other one fires.

The faults are made on a running platform, and measured there. Some cannot be made in a test: requests that wait for
minutes or hours, a batch of 97 seconds, tables that throttle, an archive that is late. For these the evaluator is given
the data points that AWS documents.

Time does not pass: each look at the alarms is at a minute that the test says. Events of photos wait, and age, 600 times
as fast as time.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra.test_alarms import ALARMS, RESOURCES, RUNBOOK
from tests.infra.tidemill_local.watching.watch import MINUTE, Watch, denied, reserved, without
from tidemill import reply_queue
from tidemill.contract.request import Request, encode
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity, Mark, Position
from tidemill_consumers.core.folding.writers import entry
from tidemill_event_source.decisions import shard
from tidemill_local import event_sources
from tidemill_local.patches.lambda_runtime import asynchronous
from tidemill_local.platform import Platform
from tidemill_local.watching.alarm import metric

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

RULES = """
from tidemill_consumers import Accepted, Emit
from tidemill_consumers.media import RULES

def count(state, request):
    return Accepted({"n": (state or {"n": 0})["n"] + 1})

def spin(state, request):
    return Accepted({}, emits=(Emit("spin", request.key),))

RULES = {**RULES, "count": count, "spin": spin}
"""

PARAMETERS = {
    "Rules": "alarming",
    "ShardCount": "1",
    "BatchingWindowSeconds": "0",
    "ArchiveIntervalSeconds": "0",
    "EmitDepth": "2",
    "Photos": "on",
    "ApplicationSecret": "s" * 43,
}

FIVE = 5
"""Minutes of most alarms' periods."""

OVER = 3 * FIVE
"""Minutes after which nothing counts any more that was measured, also where the last periods have no data."""

LONG = 600_000
"""Milliseconds: ten minutes."""

SPEED = 600
"""Times as fast as time events of photos wait, and age."""

LARGE = 2000
"""Pixels of a photo's longer side, so that some together wait for a second."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that looks at its streams and at its mappings more often than Lambda does."""
    folder = tmp_path_factory.mktemp("alarms")
    (folder / "alarming.py").write_text(RULES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv(asynchronous.SWITCH, str(SPEED))
        patch.setattr(shard, "POLL_SECONDS", 0.3)  # with the delivery stream, fewer calls than a shard takes
        patch.setattr(event_sources, "LOOK_SECONDS", 0.2)
        with Platform(0, PARAMETERS) as running:
            yield running


@pytest.fixture
def watch(platform: Platform) -> Watch:
    return Watch(platform)


FIRED: set[str] = set()
"""The alarms that a fault has fired, alone."""


def fires(watch: Watch, name: str) -> None:
    assert watch.alarms.on == {name}
    FIRED.add(name)


# ── Faults that are made here: requests ──────────────────────────────────────────────────────────────────────


def test_no_alarm_is_on_while_all_is_well(platform: Platform, watch: Watch) -> None:
    watch.alarms = platform.alarms()
    watch.rising(3, watch.put, "Requests")
    assert watch.look(FIVE) == set()
    quiet = {"ApplyLags", "ApplyFails", "ApplyHasStopped", "QuarantineGrows", "BatchesFailInPart", "ApplyIsSlow"}
    assert {name for name, state in watch.alarms.states.items() if state == "OK"} >= quiet


def test_a_mapping_that_is_disabled(watch: Watch) -> None:
    """Its topic hears of it; and that it is over, once the mapping goes on."""
    functions, came = watch.client("lambda"), {"StreamName": watch.outputs["StreamName"]}
    (mapping,) = functions.list_event_source_mappings(FunctionName=watch.function)["EventSourceMappings"]
    with reply_queue(watch.outputs["OperationsTopicArn"], client_of=watch.client) as queue:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        watch.until(lambda: not watch.platform.event_sources, "the mapping goes on")
        watch.rises(watch.put, "IncomingRecords", "AWS/Kinesis", **came)
        assert watch.look(FIVE - 1) == set()
        watch.now += MINUTE
        watch.rises(watch.put, "IncomingRecords", "AWS/Kinesis", **came)
        fires(watch, "ApplyHasStopped")
        hears(watch, queue, "ApplyHasStopped", "ALARM")
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        watch.until(lambda: bool(watch.platform.event_sources), "the mapping does not go on")
        watch.now += 2 * FIVE * MINUTE
        watch.applied()
        watch.until_on()
        hears(watch, queue, "ApplyHasStopped", "OK")


def test_a_function_that_has_no_concurrency(watch: Watch) -> None:
    with reserved(watch, "ApplyFunctionName", 0):
        watch.rising(3, watch.put, "Throttles", "AWS/Lambda")
        fires(watch, "ApplyIsThrottled")
    watch.is_through()


def test_a_function_that_may_not_read(watch: Watch) -> None:
    with denied(watch, "ApplyFunctionName", "FoldEntities"):
        watch.rises(watch.put, "Errors", "AWS/Lambda")
        fires(watch, "ApplyFails")
        assert logged(watch, "ApplyFails", "ApplyLogGroupName")
    watch.is_through()


def test_a_quarantine_that_is_gone(watch: Watch) -> None:
    with without(watch, "QuarantineBucketName"):
        watch.rising(3, lambda: watch.put("unknown"), "PartialFailures")
        fires(watch, "BatchesFailInPart")
    watch.is_through()


def test_requests_without_a_rule(watch: Watch) -> None:
    watch.rises(lambda: watch.put("unknown"), "Quarantined")
    fires(watch, "QuarantineGrows")


def test_rules_that_emit_to_themselves(watch: Watch) -> None:
    watch.rises(lambda: watch.put("spin"), "EmitLoops")
    fires(watch, "EmitsLoop")


def test_a_re_send_that_cannot_be_told_from_a_repeat(watch: Watch) -> None:
    """The entity forgot writers after its first attempt, and the table does not have them."""
    later = time.time() + 3600
    forgetful = Entity("forgetful", 1, {"n": 1}, writers=entry("another", 1, 1), forgotten=later, lost=later)
    store(watch, forgetful)
    tried = int(time.time() * 1000) - 1000
    watch.rises(lambda: watch.put(key="forgetful", mark=tried), "UntoldRepeats")
    fires(watch, "RepeatsAreUntold")


def test_a_key_that_was_in_too_many_shards(watch: Watch) -> None:
    place = Position(49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898, 0)
    marks = {f"shardId-{number:012}": Mark(place, time.time() - 60, place) for number in range(100, 300)}
    store(watch, Entity("wanderer", 1, {"n": 1}, marks=marks))
    watch.rises(lambda: watch.put(key="wanderer"), "EvictedMarks")
    fires(watch, "MarksAreForgotten")


def test_a_topic_that_is_gone(watch: Watch) -> None:
    sns, topic = watch.client("sns"), watch.outputs["RepliesTopicArn"]
    sns.delete_topic(TopicArn=topic)
    try:
        watch.rising(3, lambda: watch.put(client="ann"), "ReplyFailures")
        fires(watch, "RepliesFail")
    finally:
        assert sns.create_topic(Name=topic.rpartition(":")[2])["TopicArn"] == topic
    watch.is_through()


def test_a_client_whom_no_message_can_name(watch: Watch) -> None:
    watch.rises(lambda: watch.put(client="ann\x85"), "UnansweredRequests")
    fires(watch, "RequestsAreUnanswered")


def test_a_shard_that_is_full(watch: Watch) -> None:
    """Kinesis counts what it refuses; here the producer does, to whom the platform's limits refuse as many."""
    stream = watch.outputs["StreamName"]
    refused = metric("AWS/Kinesis", "WriteProvisionedThroughputExceeded", StreamName=stream)
    kinesis = watch.client("kinesis")
    data = encode(Request(id="i", cmd="count", key="full", data={}))
    for _ in range(3):
        failed = 0
        while not failed:
            records: Any = [{"Data": data, "PartitionKey": "full"}] * 500
            failed = kinesis.put_records(StreamName=stream, Records=records)["FailedRecordCount"]
        watch.alarms.points.add(refused, watch.now, [float(failed)])
        watch.look(1)
    watch.is_through()
    fires(watch, "StreamIsFull")


def test_an_archive_that_is_gone(platform: Platform, watch: Watch) -> None:
    failed = metric("AWS/Firehose", "DeliveryToS3.Success", DeliveryStreamName=watch.outputs[ARCHIVE])
    with without(watch, "ArchiveBucketName"):
        watch.applied()
        watch.until(lambda: (watch.now, 0.0) in watch.alarms.points.of(failed), "the archive does not fail")
        assert watch.alarms.on == set()
        watch.look(FIVE)
        fires(watch, "ArchiveFails")
    watch.until(lambda: not any(one.trouble for one in platform.delivery_streams), "the archive goes on failing")


def test_a_sweep_that_may_not_list(watch: Watch) -> None:
    with denied(watch, "SweepFunctionName", "ListObjects"):
        assert "FunctionError" in watch.client("lambda").invoke(FunctionName=watch.outputs["SweepFunctionName"])
        watch.until_on("SweepFails")
        fires(watch, "SweepFails")


# ── Faults that are made here: photos ────────────────────────────────────────────────────────────────────────


def test_a_media_function_that_may_not_read(watch: Watch) -> None:
    """Its event is given up after three attempts, and tried again, in vain and then not, as the runbook says."""
    sqs, queue = watch.client("sqs"), watch.outputs["MissedPhotosUrl"]
    with denied(watch, "MediaFunctionName", "ReadContents"):
        key = watch.upload()
        watch.until_on("MediaFails", "PhotosAreMissed")
        assert watch.of("Errors", "AWS/Lambda", FunctionName=watch.outputs["MediaFunctionName"]) == 3
        watch.look(OVER)
        fires(watch, "PhotosAreMissed")
        (message,) = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=300)["Messages"]
        event = json.dumps(json.loads(message["Body"])["requestPayload"])
        assert watch.look(FIVE) == set(), "somebody is at work on it"
        assert "FunctionError" in invoked(watch, event)
        watch.until_on("MediaFails")
        fires(watch, "MediaFails")
        assert logged(watch, "MediaFails", "MediaLogGroupName")
    assert "FunctionError" not in invoked(watch, event)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    watch.until(lambda: watch.has(key), "the stream is not told")
    assert watch.look(OVER) == set()


def test_a_media_function_that_is_switched_off(watch: Watch) -> None:
    """Lambda gives its events up at once."""
    sqs, queue = watch.client("sqs"), watch.outputs["MissedPhotosUrl"]
    with reserved(watch, "MediaFunctionName", 0):
        watch.upload()
        watch.until_on("PhotosAreMissed")
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["requestContext"]["condition"] == "ZeroReservedConcurrency"
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def test_more_photos_than_may_be_decoded_at_a_time(watch: Watch) -> None:
    age = metric("AWS/Lambda", "AsyncEventAge", FunctionName=watch.outputs["MediaFunctionName"])
    waiting: dict[str, float] = {}

    def is_done() -> bool:
        for key in list(filter(watch.has, waiting)):
            del waiting[key]
        return not waiting

    def has_waited() -> bool:
        """Whether an event waited for long. Until then, photos come by tens; after 36 seconds they are given up."""
        is_done()
        long_ago = time.monotonic() - LONG / 1000 / SPEED
        if len(waiting) < 20 and all(at > long_ago for at in waiting.values()):
            waiting.update({watch.upload(LARGE): time.monotonic() for _ in range(10)})
        return any(at == watch.now and value > LONG for at, value in watch.alarms.points.of(age))

    with reserved(watch, "MediaFunctionName", 1):
        watch.until(has_waited, "no photo waits for long")
        assert watch.alarms.on == set()
        watch.now += FIVE * MINUTE
        watch.until(has_waited, "no photo waits for long")
        fires(watch, "MediaLags")
    watch.until(is_done, "photos go on waiting")


def test_a_thumbnail_function_that_may_not_read(watch: Watch) -> None:
    with denied(watch, "ThumbnailFunctionName", "ReadContents"):
        watch.ask()
        watch.until_on("ThumbnailFails")
        fires(watch, "ThumbnailFails")
        assert logged(watch, "ThumbnailFails", "ThumbnailLogGroupName")


def test_more_thumbnails_than_may_be_made_at_a_time(watch: Watch) -> None:
    of = {"FunctionName": watch.outputs["ThumbnailFunctionName"]}
    with reserved(watch, "ThumbnailFunctionName", 0):
        for _ in range(3):
            watch.rises(watch.ask, "Throttles", "AWS/Lambda", **of)
            before = watch.alarms.on
            watch.now += FIVE * MINUTE
        watch.now -= FIVE * MINUTE
        fires(watch, "ThumbnailIsThrottled")
        assert before == {"ThumbnailIsThrottled"}


def test_an_index_function_that_may_not_read(watch: Watch) -> None:
    with denied(watch, "IndexFunctionName", "ReadEntities"):
        key = watch.upload()
        watch.until(lambda: watch.has(key), "the stream is not told")
        watch.put("content.publish", key=key, client="ada", title="Sea")
        watch.until_on("IndexFails")
        fires(watch, "IndexFails")
        assert logged(watch, "IndexFails", "IndexLogGroupName")
    bucket, s3 = watch.outputs["ContentBucketName"], watch.client("s3")
    watch.until(lambda: "Contents" in s3.list_objects_v2(Bucket=bucket, Prefix="index/"), "it is not listed")


# ── Faults by the data points that AWS documents ─────────────────────────────────────────────────────────────

FUNCTION, INDEX, ARCHIVE, TABLE = "ApplyFunctionName", "IndexFunctionName", "ArchiveDeliveryStreamName", "TableName"


@pytest.mark.parametrize(
    ("name", "namespace", "of", "dimension", "output", "value", "minutes"),
    [
        ("ApplyLags", "AWS/Lambda", "IteratorAge", "FunctionName", FUNCTION, 60_001, (0, 5)),
        ("ApplyIsBehind", "AWS/Lambda", "IteratorAge", "FunctionName", FUNCTION, 8_640_001, (0,)),
        ("ApplyIsSlow", "AWS/Lambda", "Duration", "FunctionName", FUNCTION, 96_001, (0,)),
        ("IndexLags", "AWS/Lambda", "IteratorAge", "FunctionName", INDEX, 600_001, (0, 5)),
        ("ArchiveIsLate", "AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", ARCHIVE, 901, (0,)),
        ("TablesAreThrottled", "AWS/DynamoDB", "WriteThrottleEvents", "TableName", TABLE, 3, (0, 1, 2)),
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
    watched = metric(namespace, of, **{dimension: watch.outputs[output]})
    lower = value - 1 if value > 10 else 0
    for high, on in ((lower, set()), (value, {name})):
        begin = watch.now
        for minute in minutes:
            watch.now = begin + minute * MINUTE
            watch.alarms.points.add(watched, watch.now, [float(high)])
            watch.look()
        assert watch.alarms.on == on
        watch.now = begin + 3600
    FIRED.add(name)


def test_a_throttled_table_is_off_again_when_it_has_nothing_more_to_say(watch: Watch) -> None:
    """Though alarms on DynamoDB's own metrics ignore what is missing."""
    watched = metric("AWS/DynamoDB", "WriteThrottleEvents", TableName=watch.outputs[TABLE])
    for _ in range(3):
        watch.alarms.points.add(watched, watch.now, [1.0])
        watch.look(1)
    assert watch.look(2) == set()


def test_every_alarm_was_fired_alone() -> None:
    """By the tests above, if all of this module run. Those of the stage watch metrics that Managed Flink alone has."""
    here = {name for name in ALARMS if RESOURCES[name].get("Condition") != "HasStage"}
    if here - FIRED:
        pytest.skip(f"not all of this module ran: {sorted(here - FIRED)}")
    assert here == FIRED


# ── What the tests share ─────────────────────────────────────────────────────────────────────────────────────


def hears(watch: Watch, queue: str, name: str, state: str) -> None:
    """Wait until a queue hears that an alarm has this state."""
    sqs, heard = watch.client("sqs"), list[tuple[str, str]]()

    def has_heard() -> bool:
        for one in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
            body = json.loads(one["Body"])
            heard.append((body["AlarmName"], body["NewStateValue"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return (name, state) in heard

    watch.until(has_heard, "the topic is not told")


def store(watch: Watch, entity: Entity) -> None:
    item: Any = to_item(entity)
    watch.client("dynamodb").put_item(TableName=watch.outputs[TABLE], Item=item)


def invoked(watch: Watch, event: str) -> Any:
    """The answer to an Invoke of the media function."""
    return watch.client("lambda").invoke(FunctionName=watch.outputs["MediaFunctionName"], Payload=event)


def logged(watch: Watch, alarm: str, group: str) -> list[str]:
    """The lines of a function's log that the command of the alarm's section of the runbook finds.

    Its pattern has alternatives, which the emulator's FilterLogEvents does not know.
    """
    section = RUNBOOK.partition(f"\n## {alarm}\n")[2].partition("\n## ")[0]
    found = re.search(r"aws logs tail .*--filter-pattern '(.*)'", section)
    assert found
    alternatives = [one.strip('"') for one in re.findall(r'\?("[^"]+"|\w+)', found[1])]
    events = watch.client("logs").filter_log_events(logGroupName=watch.outputs[group])["events"]
    return [one["message"] for one in events if any(text in one["message"] for text in alternatives)]
