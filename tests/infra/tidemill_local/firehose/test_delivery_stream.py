"""What analysts rely on: all that is on the stream lands, in files and under names as AWS would have them."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import logging
import re
import threading
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tidemill.contract import aggregation
from tidemill_event_source.files import UnreadableFile
from tidemill_event_source.shard_reader import StreamRecord
from tidemill_local.emulator import Emulator
from tidemill_local.firehose.buffering import Buffering, S3Object, objects
from tidemill_local.firehose.config import UnsupportedDeliveryError, evaluate, object_name, parse
from tidemill_local.firehose.delivery_stream import BEHIND_SECONDS, POLL_SECONDS, Delivered, DeliveryStream
from tidemill_local.firehose.object_writer import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, ObjectWriter
from tidemill_local.firehose.positions import positions_in
from tidemill_local.firehose.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/requests"
NOON = datetime(2026, 11, 24, 12, 5, 9, tzinfo=UTC)
TEMPLATE: dict[str, Any] = {
    "DeliveryStreamName": "archive",
    "DeliveryStreamType": "KinesisStreamAsSource",
    "KinesisStreamSourceConfiguration": {"KinesisStreamARN": STREAM, "RoleARN": "arn:aws:iam::0:role/r"},
    "ExtendedS3DestinationConfiguration": {
        "BucketARN": "arn:aws:s3:::the-archive",
        "RoleARN": "arn:aws:iam::0:role/r",
        "BufferingHints": {"IntervalInSeconds": "60", "SizeInMBs": "1"},
        "CompressionFormat": "GZIP",
        "Prefix": "landing/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/",
        "ErrorOutputPrefix": "landing-errors/!{firehose:error-output-type}/dt=!{timestamp:yyyy-MM-dd}/",
        "FileExtension": ".ndjson.gz",
        "ProcessingConfiguration": {
            "Enabled": "true",
            "Processors": [
                {
                    "Type": "AppendDelimiterToRecord",
                    "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                }
            ],
        },
    },
}
CONFIG = parse(TEMPLATE)
KIB = 1024
DAMAGED = aggregation.pack([aggregation.UserRecord("k", b"x")])[:-1] + b"?"


def template(drop: tuple[str, ...] = (), **destination: object) -> dict[str, Any]:
    changed = copy.deepcopy(TEMPLATE)
    changed["ExtendedS3DestinationConfiguration"].update(destination)
    for name in drop:
        del changed["ExtendedS3DestinationConfiguration"][name]
    return changed


def record(data: bytes, sequence: int = 1, shard: str = "shard-0", arrived: datetime = NOON) -> StreamRecord:
    return StreamRecord(shard, str(sequence), "key", data, arrived)


# The configuration


def test_the_template_is_understood() -> None:
    assert (CONFIG.name, CONFIG.stream_arn, CONFIG.bucket) == ("archive", STREAM, "the-archive")
    assert (CONFIG.interval, CONFIG.size) == (60, KIB * KIB)
    assert (CONFIG.compress, CONFIG.extension, CONFIG.delimiter) == (True, ".ndjson.gz", b"\n")


def test_what_the_template_leaves_out_is_as_firehose_has_it() -> None:
    optional = (
        "BufferingHints",
        "CompressionFormat",
        "ErrorOutputPrefix",
        "FileExtension",
        "ProcessingConfiguration",
    )
    config = parse(template(drop=optional, Prefix="raw/"))

    assert (config.interval, config.size) == (300, 5 * KIB * KIB)
    assert (config.compress, config.extension, config.delimiter) == (False, "", b"")
    assert evaluate(config.prefix, NOON, str) == "raw/2026/11/24/12/"
    assert evaluate(config.error_prefix, NOON, str) == "raw/processing-failed/2026/11/24/12/"


@pytest.mark.parametrize(
    ("properties", "complaint"),
    [
        (template(drop=("BucketARN",)), "BucketARN"),
        (template(BucketARN="the-archive"), "BucketARN"),
        (template(BufferingHints={"IntervalInSeconds": 901}), "IntervalInSeconds"),
        (template(BufferingHints={"SizeInMBs": 0}), "SizeInMBs"),
        (template(BufferingHints={"SizeInMBs": "many"}), "SizeInMBs"),
        (template(CompressionFormat="Snappy"), "CompressionFormat"),
        (template(S3BackupMode="Enabled"), "S3BackupMode"),
        (template(CustomTimeZone="Asia/Tokyo"), "CustomTimeZone"),
        (template(DynamicPartitioningConfiguration={"Enabled": True}), "DynamicPartitioningConfiguration"),
        (template(ProcessingConfiguration={"Enabled": True, "Processors": [{"Type": "Lambda"}]}), "Lambda"),
        (template(drop=("ErrorOutputPrefix",)), "ErrorOutputPrefix"),
        (template(ErrorOutputPrefix="errors/"), "error-output-type"),
        (template(Prefix="!{firehose:error-output-type}/"), "ErrorOutputPrefix, not in Prefix"),
        (template(Prefix="!{partitionKeyFromQuery:id}/"), "partitionKeyFromQuery"),
        (template(Prefix="!{timestamp:YYYY}/"), "the year is yyyy"),
        (template(Prefix="!{timestamp:MMM}/"), "not MMM"),
        (template(Prefix="!{timestamp:yyyy'}/"), "quote"),
        (template(Prefix="!{timestamp/"), "namespace:value"),
        ({**TEMPLATE, "S3DestinationConfiguration": {}}, "S3DestinationConfiguration"),
        ({**TEMPLATE, "DeliveryStreamType": "DirectPut"}, "DirectPut"),
    ],
)
def test_what_it_would_not_do_as_firehose_does_it_refuses(properties: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UnsupportedDeliveryError, match=complaint):
        parse(properties)


# Names


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd", "2026-11-24"),
        ("yyyy'-'MM'-'dd", "2026-11-24"),
        ("yyyy/MM/dd/HH/", "2026/11/24/12/"),
        ("yy.DDD 'o''clock' HHmmss", "26.328 o'clock 120509"),
        ("''", "'"),
    ],
)
def test_dates_are_written_in_javas_patterns(pattern: str, text: str) -> None:
    assert evaluate(f"<!{{timestamp:{pattern}}}>", NOON, str) == f"<{text}>"


def test_each_random_string_is_another_one() -> None:
    strings = iter(("first", "second"))
    prefix = "!{firehose:random-string}/!{firehose:random-string}/"

    assert evaluate(prefix, NOON, lambda: next(strings)) == "first/second/"


def test_an_object_is_named_as_firehose_names_it_in_utc() -> None:
    in_tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    name = object_name(CONFIG, CONFIG.prefix, in_tokyo, "0a1b", str)

    assert name == "landing/dt=2026-11-24/hour=12/archive-1-2026-11-24-12-05-09-0a1b.ndjson.gz"


# Buffering


def test_nothing_is_due_without_records_however_long_it_takes() -> None:
    buffering = Buffering(CONFIG)

    assert buffering.due(10**9) is None
    assert buffering.flush() is None


def test_the_interval_counts_from_the_first_record() -> None:
    buffering = Buffering(CONFIG)
    assert not list(buffering.add([record(b"a", 1)], now=100))
    assert not list(buffering.add([record(b"b", 2)], now=159))

    assert buffering.due(159.9) is None
    batch = buffering.due(160)
    assert batch
    assert batch.landing
    assert batch.landing.lines == (b"a\n", b"b\n")
    assert buffering.records == 0
    assert buffering.due(10**9) is None, "the next interval begins with the next record"


def test_size_closes_a_batch_whatever_the_time() -> None:
    buffering = Buffering(CONFIG)
    records = [record(b"x" * (256 * KIB - 1), sequence) for sequence in range(1, 10)]
    batches = list(buffering.add(records, now=0))

    assert [batch.positions for batch in batches] == [{"shard-0": "4"}, {"shard-0": "8"}]
    assert buffering.records == 1


@pytest.mark.parametrize(("missing", "batches"), [(1, 0), (0, 1), (-1, 1)])
def test_a_batch_is_full_to_the_byte_each_time(missing: int, batches: int) -> None:
    buffering = Buffering(CONFIG)
    whole = [record(b"x" * (512 * KIB - 1), sequence) for sequence in (1, 2)]
    for _ in range(2):
        assert [one.positions for one in buffering.add(whole, now=0)] == [{"shard-0": "2"}]
    last = [record(b"x" * (512 * KIB - 1 - missing), sequence) for sequence in (3, 4)]
    assert len(list(buffering.add([whole[0], last[0]], now=0))) == batches


def test_positions_are_those_of_each_shard() -> None:
    buffering = Buffering(CONFIG)
    list(buffering.add([record(b"a", 7, "shard-0"), record(b"b", 3, "shard-1"), record(b"c", 9, "shard-0")], now=0))
    batch = buffering.flush()

    assert batch
    assert batch.positions == {"shard-0": "9", "shard-1": "3"}


def test_an_aggregate_is_taken_apart_and_never_torn() -> None:
    users = [aggregation.UserRecord(f"content/{n}", bytes([65 + n]) * 400 * KIB) for n in range(5)]
    (batch,) = Buffering(CONFIG).add([record(aggregation.pack(users))], now=0)

    assert batch.records == 5
    assert batch.landing
    assert batch.landing.lines == tuple(user.data + b"\n" for user in users)


def test_without_a_delimiter_records_run_together_as_in_firehose() -> None:
    config = parse(template(drop=("ProcessingConfiguration",)))
    buffering = Buffering(config)
    list(buffering.add([record(b"a"), record(b"b")], now=0))

    assert gzip.decompress(stored(buffering)[0][1]) == b"ab"


def stored(buffering: Buffering) -> list[tuple[str, bytes]]:
    batch = buffering.flush()
    assert batch
    return [(item.key, item.body) for item in objects(batch, CONFIG, lambda: "id", str)]


def test_an_object_is_the_same_bytes_whenever_it_is_made_and_plain_without_compression() -> None:
    buffering = Buffering(CONFIG)
    list(buffering.add([record(b"a"), record(b"b")], now=0))
    batch = buffering.flush()
    assert batch
    ((plain,), (packed,)) = (
        objects(batch, config, lambda: "id", str) for config in (replace(CONFIG, compress=False), CONFIG)
    )
    assert (plain.key, plain.body) == (packed.key, b"a\nb\n")
    assert packed.key == "landing/dt=2026-11-24/hour=12/archive-1-2026-11-24-12-05-09-id.ndjson.gz"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.body[4:8] == bytes(4), "no time in its head"
    assert packed.body[8] == 0, "made neither the slowest way nor the quickest"


def test_an_object_is_named_after_its_oldest_record() -> None:
    buffering = Buffering(CONFIG)
    late, early = NOON + timedelta(minutes=59), NOON - timedelta(minutes=10)
    arrivals = (late, early, NOON)
    list(buffering.add([record(b"x", arrived=arrived) for arrived in arrivals], now=0))
    list(buffering.add([record(DAMAGED)], now=0))
    names = [key for key, _ in stored(buffering)]

    assert names == [
        "landing/dt=2026-11-24/hour=11/archive-1-2026-11-24-11-55-09-id.ndjson.gz",
        "landing-errors/processing-failed/dt=2026-11-24/archive-1-2026-11-24-12-05-09-id.ndjson.gz",
    ]


def test_a_damaged_aggregate_goes_whole_to_the_error_output() -> None:
    buffering = Buffering(CONFIG)
    list(buffering.add([record(DAMAGED, 5), record(b"sound", 6)], now=NOON.timestamp() + 2))
    assert buffering.records == 2
    (_, landed), (_, failed) = stored(buffering)
    lines = gzip.decompress(failed).splitlines()
    line = json.loads(lines[0])

    assert gzip.decompress(landed) == b"sound\n"
    assert gzip.decompress(failed).endswith(b"}\n")
    assert len(lines) == 1
    assert base64.b64decode(line["rawData"]) == DAMAGED
    assert line["arrivalTimestamp"] == int(NOON.timestamp() * 1000)
    assert line["attemptEndingTimestamp"] - line["arrivalTimestamp"] == 2000
    assert line["attemptsMade"] == 1
    assert line["errorCode"] == "DeAggregation.InvalidRecord"
    assert line["errorMessage"] == "the MD5 does not match"


def test_only_failures_make_only_an_error_object() -> None:
    buffering = Buffering(CONFIG)
    list(buffering.add([record(DAMAGED)], now=0))

    assert [key.partition("/")[0] for key, _ in stored(buffering)] == ["landing-errors"]


# The thread, with a stream and a bucket of its own


class FakeKinesis:
    """Shards as lists; an iterator is "shard:index"; a shard in `closed` ends."""

    def __init__(self, **shards: list[bytes]) -> None:
        self.shards: dict[str, list[bytes]] = defaultdict(
            list, {name.replace("_", "-"): data for name, data in shards.items()}
        )
        self.closed: set[str] = set()
        self.children: dict[str, list[bytes]] = {}
        self.failures: list[Exception] = []
        self.list_failures: list[Exception] = []
        self.reads = self.listings = 0
        self.created = 1000

    def describe_stream_summary(self, StreamARN: str) -> dict[str, Any]:
        assert StreamARN == STREAM
        return {"StreamDescriptionSummary": {"StreamCreationTimestamp": datetime.fromtimestamp(self.created, UTC)}}

    class exceptions:  # noqa: N801 # as boto3 spells it
        class ExpiredIteratorException(Exception):
            pass

        class ProvisionedThroughputExceededException(ClientError):
            pass

    def list_shards(self, StreamARN: str = "", NextToken: str = "") -> dict[str, Any]:
        """A shard a page; a token goes alone."""
        assert (StreamARN == STREAM) != bool(NextToken)
        self.listings += not NextToken
        if self.list_failures:
            raise self.list_failures.pop(0)
        shards, at = tuple(self.shards), int(NextToken or 0)
        more = {"NextToken": str(at + 1)} if at + 1 < len(shards) else {}
        return {"Shards": [{"ShardId": shard} for shard in shards[at : at + 1]], **more}

    def get_shard_iterator(self, ShardId: str, **start: str) -> dict[str, str]:
        return {"ShardIterator": f"{ShardId}:{start.get('StartingSequenceNumber', 0)}"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        self.reads += 1
        if self.failures:
            raise self.failures.pop()
        shard, _, start = ShardIterator.rpartition(":")
        begin = int(start)
        found = list(enumerate(self.shards[shard], 1))[begin : begin + min(Limit, 100)]
        end = begin + len(found)
        answer: dict[str, Any] = {
            "Records": [self._record(n, data) for n, data in found],
            "MillisBehindLatest": 0,
        }
        if shard in self.closed and end == len(self.shards[shard]):
            self.shards.update(self.children)
        else:
            answer["NextShardIterator"] = f"{shard}:{end}"
        return answer

    def _record(self, number: int, data: bytes) -> dict[str, Any]:
        return {
            "SequenceNumber": str(number),
            "PartitionKey": "key",
            "Data": data,
            "ApproximateArrivalTimestamp": NOON,
        }


class FakeS3:
    """A bucket that fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.objects: dict[str, bytes] = {}
        self.attempted: list[str] = []
        self.failures = failures
        self.first_failure = threading.Event()

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        assert Bucket == "the-archive"
        self.attempted.append(Key)
        if self.failures:
            self.failures -= 1
            self.first_failure.set()
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "PutObject")
        assert Key not in self.objects
        self.objects[Key] = Body

    def lines(self, folder: str = "landing/") -> list[bytes]:
        return [
            line
            for key, body in self.objects.items()
            if key.startswith(folder)
            for line in gzip.decompress(body).splitlines()
        ]


def delivery(kinesis: FakeKinesis, s3: FakeS3, **options: Any) -> DeliveryStream:
    return DeliveryStream(cast("Any", kinesis), cast("Any", s3), CONFIG, **options)


def test_stopping_delivers_all_that_is_on_the_stream() -> None:
    sent = [b"%d" % n for n in range(1234)]
    s3 = FakeS3()
    stream = delivery(FakeKinesis(shard_0=sent[:700], shard_1=sent[700:], shard_2=[DAMAGED]), s3)
    stream.start()
    stream.stop()

    assert sorted(s3.lines()) == sorted(sent)
    assert len(s3.lines("landing-errors/")) == 1
    assert (stream.delivered.records, stream.delivered.failed) == (1234, 1)
    assert stream.delivered.objects == len(s3.objects) == 2
    assert stream.delivered.bytes == sum(map(len, s3.objects.values()))
    assert stream.positions == {"shard-0": "700", "shard-1": "534", "shard-2": "1"}
    assert (stream.buffered, stream.trouble) == (0, None)


def test_another_one_goes_on_where_this_one_stood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kinesis, s3, kept = FakeKinesis(shard_0=[b"a", b"b"]), FakeS3(), tmp_path / "positions.json"
    first = delivery(kinesis, s3, kept=kept)
    first.start()
    first.stop()
    kinesis.shards["shard-0"] += [b"c"]
    second = delivery(kinesis, s3, kept=kept)
    second.start()
    second.stop()

    assert s3.lines() == [b"a", b"b", b"c"]
    assert json.loads(kept.read_bytes()) == {
        "stream": f"{STREAM} 1000.0",
        "shards": {"shard-0": "3"},
    }
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG], "a new file is no trouble"


@pytest.mark.parametrize(
    ("created", "is_old", "lines"),
    [(1000, False, [b"a", b"b"]), (2000, False, [b"a", b"b", b"x", b"y"]), (2000, True, [b"a", b"b"])],
)
def test_a_stream_that_was_made_again_is_read_from_its_beginning(
    tmp_path: Path, created: int, is_old: bool, lines: list[bytes]
) -> None:
    """Its shards have the same names. A file that names no stream, as they once were, is the present one's."""
    kinesis, s3, kept = FakeKinesis(shard_0=[b"a", b"b"]), FakeS3(), tmp_path / "positions.json"
    first = delivery(kinesis, s3, kept=kept)
    first.start()
    first.stop()
    if is_old:
        kept.write_text('{"shard-0": "2"}')
    kinesis.created, kinesis.shards["shard-0"] = created, [b"x", b"y"]
    second = delivery(kinesis, s3, kept=kept)
    second.start()
    second.stop()

    assert s3.lines() == lines
    assert json.loads(kept.read_bytes())["shards" if not is_old else "shard-0"]


def test_a_failed_put_is_tried_again_under_the_same_name() -> None:
    s3 = FakeS3(failures=2)
    stream = delivery(FakeKinesis(shard_0=[b"a"]), s3)
    stream.start()
    stream.stop()

    assert s3.lines() == [b"a"]
    assert len(s3.attempted) == 3
    assert len(set(s3.attempted)) == 1
    assert stream.trouble is None


def test_what_could_not_be_stored_is_counted_and_its_position_has_not_moved() -> None:
    s3 = FakeS3(failures=10**9)
    stream = delivery(FakeKinesis(shard_0=[b"a", b"b"]), s3)
    stream.start()
    stopper = threading.Thread(target=stream.stop, kwargs={"grace": 0.3})
    stopper.start()
    assert s3.first_failure.wait(10)
    assert stream.buffered == 2
    assert "SlowDown" in str(stream.trouble)
    stopper.join(10)

    assert not stopper.is_alive()
    assert not stream._thread.is_alive(), "it is waited for"
    assert stream.buffered == 2
    assert (stream.delivered.records, stream.positions) == (0, {})


def test_stopping_without_a_flush_leaves_what_is_buffered() -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"a"]), FakeS3()
    stream = delivery(kinesis, s3)
    stream.start()
    wait_until(lambda: stream.buffered == 1)
    stream.stop(flush=False)

    assert not s3.objects
    assert stream.positions == {}


def test_a_failed_read_is_tried_again() -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"a"]), FakeS3()
    kinesis.failures = [EndpointConnectionError(endpoint_url="http://nowhere") for _ in range(3)]
    stream = delivery(kinesis, s3)
    stream.start()
    stream.stop()

    assert s3.lines() == [b"a"]
    assert stream.trouble is None


def test_a_read_that_the_shard_does_not_admit_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"a"]), FakeS3()
    exceeded = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "Rate exceeded"}}
    kinesis.failures = [
        kinesis.exceptions.ProvisionedThroughputExceededException(cast("Any", exceeded), "GetRecords") for _ in range(3)
    ]
    stream = delivery(kinesis, s3)
    stream.start()
    stream.stop()

    assert s3.lines() == [b"a"]
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_the_children_of_a_closed_shard_are_read() -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"parent"]), FakeS3()
    kinesis.closed, kinesis.children = {"shard-0"}, {"shard-1": [b"left"], "shard-2": [b"right"]}
    stream = delivery(kinesis, s3)
    stream.start()
    stream.stop()

    assert sorted(s3.lines()) == [b"left", b"parent", b"right"]


def test_a_list_of_shards_that_fails_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"a"]), FakeS3()
    limited = {"Error": {"Code": "LimitExceededException", "Message": "5 a second"}}
    nowhere = EndpointConnectionError(endpoint_url="http://nowhere")
    kinesis.list_failures = [ClientError(cast("Any", limited), "ListShards"), nowhere, nowhere]
    stream = delivery(kinesis, s3)
    stream.start()
    stream.stop()

    assert s3.lines() == [b"a"]
    assert stream.trouble is None
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2, "the same trouble is told once"
    assert "LimitExceededException" in told[0]
    assert told[1] == f"archive: {nowhere}; trying again"


def test_a_list_of_shards_that_goes_on_failing_is_not_asked_for_without_a_pause() -> None:
    kinesis = FakeKinesis(shard_0=[b"a"])
    failure = EndpointConnectionError(endpoint_url="http://nowhere")
    kinesis.list_failures = [failure] * 10**6
    stream = delivery(kinesis, FakeS3())
    stream.start()
    stream.stop(grace=0.5)
    assert 10**6 - 100 < len(kinesis.list_failures) < 10**6


def test_a_random_string_is_eleven_letters_and_digits() -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"a"]), FakeS3()
    prefix = "landing/!{firehose:random-string}/"
    config = parse(template(Prefix=prefix))
    stream = DeliveryStream(cast("Any", kinesis), cast("Any", s3), config)
    stream.start()
    stream.stop()
    (key,) = s3.objects
    assert re.fullmatch(r"landing/[A-Za-z0-9]{11}/archive-.*", key)


def test_a_list_of_children_that_fails_is_asked_for_again() -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"parent"]), FakeS3()
    kinesis.closed, kinesis.children = {"shard-0"}, {"shard-1": [b"child"]}
    stream = delivery(kinesis, s3)
    stream.start()
    wait_until(lambda: stream.buffered == 1)
    kinesis.list_failures = [EndpointConnectionError(endpoint_url="http://nowhere")] * 2
    stream.stop()

    assert sorted(s3.lines()) == [b"child", b"parent"]
    assert (stream.positions, stream.trouble) == ({"shard-0": "1", "shard-1": "1"}, None)


@pytest.mark.parametrize("where", ["read", "list", "put"])
def test_an_error_that_nobody_foresaw_ends_nothing_and_loses_nothing(where: str) -> None:
    sent = [b"%d" % n for n in range(300)]
    odd: list[Exception] = [LookupError("an answer that cannot be read")]

    class OddS3(FakeS3):
        def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
            if where == "put" and odd:
                raise odd.pop()
            super().put_object(Bucket, Key, Body)

    kinesis, s3 = FakeKinesis(shard_0=sent), OddS3()
    if where == "read":
        kinesis.failures = odd
    if where == "list":
        kinesis.list_failures = odd
    stream = delivery(kinesis, s3)
    stream.start()
    stream.stop()
    assert odd == []
    assert (sorted(s3.lines()), stream.trouble) == (sorted(sent), None)


def test_after_an_error_that_nobody_foresaw_nothing_is_buffered_and_a_second_passes() -> None:
    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(0.01)

    waits: list[float | None] = []
    kinesis = FakeKinesis(shard_0=[b"a"])
    stream = delivery(kinesis, FakeS3())
    stream._stopping = Waits()
    kinesis.failures = [LookupError("an answer that cannot be read")] * 10**6
    stream.start()
    wait_until(lambda: len(waits) >= 3)
    assert set(waits) == {1.0}
    assert (stream.buffered, stream.trouble) == (0, "an answer that cannot be read")
    stream.stop(flush=False)
    assert (stream.buffered, stream.delivered, stream.positions) == (0, Delivered(), {})


def test_its_trouble_is_told_while_it_lasts() -> None:
    kinesis, s3 = FakeKinesis(shard_0=[b"a"]), FakeS3()
    kinesis.list_failures = [EndpointConnectionError(endpoint_url="http://nowhere")] * 10**6
    stream = delivery(kinesis, s3)
    stream.start()
    wait_until(lambda: stream.trouble is not None)
    trouble = stream.trouble
    kinesis.list_failures = []
    stream.stop()
    assert trouble == 'Could not connect to the endpoint URL: "http://nowhere"'
    assert (s3.lines(), stream.trouble) == ([b"a"], None)


def test_a_shard_with_nothing_more_is_read_once_a_second() -> None:
    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(0)

    waits: list[float | None] = []
    kinesis = FakeKinesis(shard_0=[])
    stream = delivery(kinesis, FakeS3())
    stream._stopping = Waits()
    stream.start()
    wait_until(lambda: kinesis.reads >= 3)
    stream.stop(flush=False)
    assert set(waits) == {1.0}


def test_a_shard_with_more_is_read_five_times_a_second() -> None:
    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(0)

    waits: list[float | None] = []
    kinesis = FakeKinesis(shard_0=[b"a"] * 250)
    stream = delivery(kinesis, FakeS3())
    stream._stopping = Waits()
    stream.start()
    wait_until(lambda: len(waits) >= 5)
    stream.stop()
    assert waits[:5] == [0.2, 0.2, 0.2, 1.0, 1.0]


def test_a_put_that_goes_on_failing_waits_twice_as_long_each_time_up_to_ten_seconds() -> None:
    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return False

    waits: list[float | None] = []
    s3, troubles = FakeS3(failures=9), Troubles("archive")
    ObjectWriter(cast("Any", s3), CONFIG.bucket, Waits(), troubles).put(S3Object("landing/a", b"body"))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert (s3.objects, troubles.first) == ({"landing/a": b"body"}, None)


def test_what_has_waited_for_the_interval_is_delivered_though_nothing_ends() -> None:
    s3 = FakeS3()
    stream = DeliveryStream(cast("Any", FakeKinesis(shard_0=[b"a"])), cast("Any", s3), replace(CONFIG, interval=0))
    stream.start()
    wait_until(lambda: stream.delivered.records == 1)
    assert (s3.lines(), stream.buffered) == ([b"a"], 0)
    stream.stop()
    assert len(s3.objects) == 1


def test_its_thread_has_its_name_and_keeps_no_process_alive() -> None:
    stream = delivery(FakeKinesis(), FakeS3())
    stream.start()
    (thread,) = (one for one in threading.enumerate() if one.name == "delivery-stream-archive")
    stream.stop()
    assert thread.daemon
    assert not thread.is_alive()


def test_stopping_what_never_started_does_nothing() -> None:
    kinesis, s3 = FakeKinesis(), FakeS3()
    stream = delivery(kinesis, s3)
    stream.stop()
    stream.stop()
    assert (s3.lines(), stream.delivered, stream.positions) == ([], Delivered(), {})


def wait_until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if holds():
            return
        pause.wait(0.01)
    pytest.fail("it did not come to pass within ten seconds")


# The thread, with the emulator


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(port=0) as running:
        yield running


def test_what_is_put_on_a_real_stream_lands_in_a_real_bucket(emulator: Emulator) -> None:
    kinesis, s3 = emulator.client("kinesis"), emulator.client("s3")
    kinesis.create_stream(StreamName="requests", ShardCount=2)
    arn = kinesis.describe_stream_summary(StreamName="requests")["StreamDescriptionSummary"]["StreamARN"]
    s3.create_bucket(Bucket=CONFIG.bucket)
    plain = [b'{"n":%d}' % n for n in range(40)]
    packed = [b'{"m":%d}' % n for n in range(60)]
    aggregate = aggregation.pack(aggregation.UserRecord("content/1", data) for data in packed)
    records = [{"PartitionKey": f"k{n}", "Data": data} for n, data in enumerate([*plain, aggregate, DAMAGED])]

    stream = DeliveryStream(kinesis, s3, replace(CONFIG, stream_arn=arn))
    stream.start()
    assert kinesis.put_records(StreamName="requests", Records=records)["FailedRecordCount"] == 0
    stream.stop()

    found: dict[str, list[bytes]] = defaultdict(list)
    for item in s3.list_objects_v2(Bucket=CONFIG.bucket)["Contents"]:
        body = s3.get_object(Bucket=CONFIG.bucket, Key=item["Key"])["Body"].read()
        found[item["Key"].partition("/")[0]] += gzip.decompress(body).splitlines()
    assert sorted(found["landing"]) == sorted(plain + packed)
    assert [base64.b64decode(json.loads(line)["rawData"]) for line in found["landing-errors"]] == [DAMAGED]
    assert (stream.delivered.records, stream.delivered.failed, stream.buffered) == (100, 1, 0)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b'{"stream": "s", "shards": {"shardId-0": 7}}'])
def test_a_file_that_holds_no_positions_ends_the_start_with_its_name(tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "archive.json"
    kept.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"archive\.json holds no positions .* delete it to read from the oldest"):
        positions_in(kept)


def test_it_does_not_start_with_a_file_that_holds_no_positions(tmp_path: Path) -> None:
    kept = tmp_path / "archive.json"
    kept.write_bytes(b"{")
    stream = delivery(FakeKinesis(shard_0=[b"a"]), FakeS3(), kept=kept)
    with pytest.raises(UnreadableFile, match=r"archive\.json holds no positions"):
        stream.start()
    stream.stop()
    assert (kept.read_bytes(), stream.delivered) == (b"{", Delivered())


@pytest.mark.parametrize("content", [b"{}", b'{"shardId-0": "7"}', b'{"stream": "s", "shards": {"shardId-0": "7"}}'])
def test_positions_of_either_form_are_read(tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "archive.json"
    kept.write_bytes(content)
    assert positions_in(kept) == json.loads(content)


def test_its_times() -> None:
    assert (POLL_SECONDS, BEHIND_SECONDS) == (1.0, 0.2)
    assert (FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS) == (0.1, 10.0)


@pytest.mark.parametrize(("closed", "listings"), [(False, 1), (True, 2)])
def test_shards_are_listed_at_the_start_and_when_one_has_ended(closed: bool, listings: int) -> None:
    kinesis = FakeKinesis(shard_0=[b"a"] * 200)
    if closed:
        kinesis.closed, kinesis.children = {"shard-0"}, {"shard-1": [b"child"]}
    stream = delivery(kinesis, FakeS3())
    stream.start()
    stream.stop()
    assert (kinesis.listings, stream.delivered.records) == (listings, 200 + closed)
