"""The media function: whatever comes, in whatever order, however often, and wherever it ends."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from PIL import Image

from tests.conftest import Clients, Names
from tests.consumers.tidemill_media.bucket_events import created, deleted
from tests.consumers.tidemill_media.contents import image
from tidemill.contract.aggregation import unpack
from tidemill.contract.photo_files import MAX_PHOTO_BYTES
from tidemill.contract.places import Photo, photo_name, photo_version, thumbnails_prefix
from tidemill.contract.request import Document, Request, decode
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.media import RULES
from tidemill_consumers.testing import Trial
from tidemill_media import imaging
from tidemill_media.adapters.documents import Documents
from tidemill_media.adapters.photo_files import Overtaken, PhotoFiles
from tidemill_media.contents import MEMBERS
from tidemill_media.imaging import Made, Unsupported
from tidemill_media.media import LONGEST_SECONDS, Processing, Unsent, media
from tidemill_media.processing.requests import FATAL

KEY, ANN = "content/1", Photo("ann", "content/1")
NAME = photo_name(*ANN)
SIZES = (64, 16)
FIRST, SECOND, THIRD = "0A1", "0A2", "0A3"


class Ended(BaseException):
    """The function's process ends."""


def jpeg(color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 60), color).save(file, "JPEG")
    return file.getvalue()


RED = jpeg()


class World:
    """A bucket, a table and a stream; the application's rules apply what comes onto the stream."""

    def __init__(self, make: Clients, bucket: str, table: str, stream: str) -> None:
        self.s3, self.dynamodb, self.kinesis = make("s3"), make("dynamodb"), make("kinesis")
        self.reader = make("kinesis")
        self.bucket, self.table, self.stream = bucket, table, stream
        self.trial = Trial(RULES)
        self.decoded = 0
        self._iterator = self.reader.get_shard_iterator(
            StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        self._applied: set[tuple[str | None, int | None]] = set()
        self.requests: list[Request] = []
        self.parts = Processing(
            PhotoFiles(self.s3, bucket, map),
            Documents(self.dynamodb, table, MEMBERS),
            Emits(self.kinesis, stream, pause=lambda _: None, seals=Seals(stream, ["s" * 43])),
            SIZES,
            work=self._work,
        )

    def _work(self, data: bytes, sizes: Any) -> Made | Unsupported:
        self.decoded += 1
        return imaging.work(data, sizes)

    def upload(self, sequencer: str, body: bytes = RED, how: Any = None, **metadata: str) -> dict[str, Any]:
        put = self.s3.put_object(Bucket=self.bucket, Key=NAME, Body=body, Metadata=metadata, **(how or {}))
        etag = put["ETag"].strip('"')
        return created(sequencer, put["VersionId"], bucket=self.bucket, etag=etag, size=len(body))

    def delete(self, sequencer: str) -> dict[str, Any]:
        marker = self.s3.delete_object(Bucket=self.bucket, Key=NAME)["VersionId"]
        return deleted(sequencer, marker, bucket=self.bucket)

    def tell(self, event: dict[str, Any], **other: Any) -> None:
        media(event, replace(self.parts, **other))

    def apply(self) -> None:
        """Apply what came onto the stream; a repeat is known by its writer."""
        read = self.reader.get_records(ShardIterator=self._iterator)
        self._iterator = read["NextShardIterator"]
        for request in [decode(one.data) for record in read["Records"] for one in unpack(record["Data"])]:
            assert request.key == KEY
            self.requests.append(request)
            if (request.writer, request.counter) not in self._applied:
                self._applied.add((request.writer, request.counter))
                self.trial.send(request.cmd, key=KEY, data=request.data, client=request.client, internal=True)
        self.store()

    def store(self) -> None:
        item = image(KEY, self.trial.document(KEY))
        self.dynamodb.put_item(TableName=self.table, Item={**item, "writers": {"B": b""}})

    def client(self, cmd: str, client: str = "ann", **data: Any) -> None:
        self.trial.send(cmd, key=KEY, data=data, client=client)
        self.store()

    @property
    def photo(self) -> Document:
        found: Document = (self.trial.document(KEY) or {}).get("photo", {})
        return found

    def made(self, sequencer: str) -> list[str]:
        """The files beside a version's outcome."""
        prefix = f"{thumbnails_prefix(ANN)}{photo_version(sequencer)}/"
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return sorted(one["Key"].removeprefix(prefix) for one in listed)


WHOLE = sorted([*(f"{size}.{extension}" for size in SIZES for extension in ("webp", "jpeg")), "outcome.json"])


@pytest.fixture
def world(new_client: Clients, content_bucket: str, table: str, stream: str) -> World:
    found = World(new_client, content_bucket, table, stream)
    found.client("content.publish", title="A")
    return found


def test_a_photo_is_made_small_and_told(world: World) -> None:
    world.tell(world.upload(FIRST))
    world.apply()
    assert world.photo["status"] == "ready"
    assert (world.photo["width"], world.photo["height"], world.photo["format"]) == (80, 60, "JPEG")
    assert world.made(FIRST) == WHOLE
    (request,) = world.requests
    assert Seals(world.stream, ["s" * 43]).hold(request)
    assert request.client == "ann"
    for one in world.photo["thumbnails"]:
        stored = world.s3.get_object(Bucket=world.bucket, Key=one["name"])
        assert (stored["ContentType"], stored["ContentLength"]) == (one["type"], one["bytes"])
        with Image.open(io.BytesIO(stored["Body"].read())) as thumbnail:
            assert thumbnail.size == (one["width"], one["height"])


def test_it_is_replaced_and_removed(world: World) -> None:
    world.tell(world.upload(FIRST))
    world.tell(world.upload(SECOND, jpeg("blue")))
    world.apply()
    assert (world.photo["version"], world.decoded) == (photo_version(SECOND), 2)
    world.tell(world.delete(THIRD))
    world.apply()
    assert (world.photo["version"], world.photo["status"]) == (photo_version(THIRD), "removed")


def test_a_repeat_decodes_nothing_and_sends_the_same(world: World) -> None:
    event = world.upload(FIRST)
    world.tell(event)
    world.tell(event)
    world.apply()
    one, other = world.requests
    assert (one, world.decoded) == (other, 1)
    world.tell(event)
    world.apply()
    assert len(world.requests) == 2, "the document has it: there is nothing to say"


def test_what_is_late_is_not_decoded(world: World) -> None:
    early, late = world.upload(FIRST), world.upload(SECOND, jpeg("blue"))
    world.tell(late)
    world.apply()
    world.tell(early)
    world.apply()
    assert (world.decoded, len(world.requests), world.made(FIRST)) == (1, 1, [])
    world.tell(deleted(FIRST, bucket=world.bucket))
    world.apply()
    assert len(world.requests) == 1


def test_what_becomes_late_while_it_is_decoded_leaves_nothing(world: World) -> None:
    early, late = world.upload(FIRST), world.upload(SECOND, jpeg("blue"))

    def work(data: bytes, sizes: Any) -> Made | Unsupported:
        world.tell(late)
        world.apply()
        return imaging.work(data, sizes)

    world.tell(early, work=work)
    world.apply()
    assert (len(world.requests), world.made(FIRST), world.made(SECOND)) == (1, [], WHOLE)
    assert world.photo["version"] == photo_version(SECOND)


def test_a_version_that_is_gone_is_left_to_the_event_that_tells_of_it(world: World) -> None:
    event = world.upload(FIRST)
    version = event["detail"]["object"]["version-id"]
    world.s3.delete_object(Bucket=world.bucket, Key=NAME, VersionId=version)
    world.tell(event)
    world.apply()
    assert (world.requests, world.decoded) == ([], 0)
    world.tell(deleted(SECOND, version, bucket=world.bucket, for_good=True))
    world.apply()
    assert world.photo["status"] == "removed"


def test_a_former_version_that_expires_changes_nothing(world: World) -> None:
    former, latest = world.upload(FIRST), world.upload(SECOND, jpeg("blue"))
    world.tell(former)
    world.tell(latest)
    world.apply()
    expired = former["detail"]["object"]["version-id"]
    world.s3.delete_object(Bucket=world.bucket, Key=NAME, VersionId=expired)
    world.tell(deleted(THIRD, expired, bucket=world.bucket, for_good=True))
    world.apply()
    assert (world.photo["version"], len(world.requests)) == (photo_version(SECOND), 2)


def test_a_former_version_that_is_uncovered_is_the_photo_again(world: World) -> None:
    former, latest = world.upload(FIRST), world.upload(SECOND, jpeg("blue"))
    world.tell(former)
    world.tell(latest)
    world.apply()
    gone = latest["detail"]["object"]["version-id"]
    world.s3.delete_object(Bucket=world.bucket, Key=NAME, VersionId=gone)
    world.tell(deleted(THIRD, gone, bucket=world.bucket, for_good=True))
    world.apply()
    assert world.photo["object"] == former["detail"]["object"]["version-id"]
    assert (world.photo["version"], world.made(THIRD)) == (photo_version(THIRD), WHOLE)


def test_the_expired_version_of_a_removed_photo_says_nothing_new(world: World) -> None:
    event = world.upload(FIRST)
    world.tell(event)
    world.tell(world.delete(SECOND))
    world.apply()
    world.tell(deleted(THIRD, event["detail"]["object"]["version-id"], bucket=world.bucket, for_good=True))
    world.apply()
    assert (len(world.requests), world.photo["version"]) == (2, photo_version(SECOND))


@pytest.mark.parametrize(("metadata", "is_told"), [({"place": "yes"}, True), ({"place": "no"}, False), ({}, False)])
def test_the_place_is_told_only_if_the_owner_agreed(world: World, metadata: dict[str, str], is_told: bool) -> None:
    def work(data: bytes, sizes: Any) -> Made:
        return Made("JPEG", 1, 1, None, None, imaging.Place(52.5, 13.4), ())

    world.tell(world.upload(FIRST, RED, **metadata), work=work)
    world.apply()
    assert ("place" in world.photo) == is_told


@pytest.mark.parametrize("is_there", [True, False])
def test_a_strangers_photo_is_refused_without_being_decoded(world: World, is_there: bool) -> None:
    world.trial = Trial(RULES)
    world.client("content.publish", client="eve", title="E")
    if not is_there:
        world.client("content.delete", client="eve")
    world.tell(world.upload(FIRST))
    world.apply()
    refused = world.trial.outcomes[-1]
    assert (refused.request.client, refused.status) == ("ann", "rejected")
    assert refused.error == ("the content is another's" if is_there else "the content was deleted")
    assert (world.decoded, world.made(FIRST)) == (0, [])


def test_a_file_that_cannot_be_decoded_says_why_once(world: World) -> None:
    event = world.upload(FIRST, b"no picture")
    world.tell(event)
    world.tell(event)
    world.apply()
    assert (world.photo["status"], world.decoded) == ("unsupported", 1)
    assert world.photo["reason"]
    assert world.made(FIRST) == ["outcome.json"]


def test_a_file_that_is_too_large_is_not_read(world: World) -> None:
    event = world.upload(FIRST)
    event["detail"]["object"]["size"] = MAX_PHOTO_BYTES + 1
    world.tell(event)
    world.apply()
    assert (world.photo["reason"], world.decoded) == ("the file is larger than 50 MiB", 0)


CLASS = {"StorageClass": "GLACIER"}
OWN_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}


@pytest.mark.parametrize(("how", "reason"), [(CLASS, "of a storage class"), (OWN_KEY, "encrypted with a key")])
def test_a_file_that_its_owner_made_unreadable_says_why_once(world: World, how: dict[str, str], reason: str) -> None:
    """Such an upload is not to be tried again and again, nor to set off an alarm."""
    removal = world.delete(FIRST)
    event = world.upload(SECOND, how=how)
    world.tell(removal)
    world.tell(event)
    world.tell(event)
    world.apply()
    assert (world.photo["status"], world.photo["version"]) == ("unsupported", photo_version(SECOND))
    assert reason in world.photo["reason"]
    assert (world.decoded, world.made(SECOND)) == (0, ["outcome.json"])


def test_a_file_that_twice_ends_the_function_is_not_tried_again(world: World) -> None:
    event, tried = world.upload(FIRST), []
    folder = f"{thumbnails_prefix(ANN)}{photo_version(FIRST)}"

    def ending(data: bytes, sizes: Any) -> Made:
        tried.append(data)
        world.s3.put_object(Bucket=world.bucket, Key=f"{folder}/64.webp", Body=b"of an attempt that ended later")
        raise Ended

    for _ in range(2):
        with pytest.raises(Ended):
            world.tell(event, work=ending)
    with pytest.raises(Overtaken):
        world.tell(event, work=ending)
    began = world.s3.get_object(Bucket=world.bucket, Key=f"{folder}/outcome.json")
    later = began["LastModified"].timestamp() + LONGEST_SECONDS
    world.tell(event, work=ending, clock=lambda: later)
    world.apply()
    assert (world.photo["status"], world.photo["reason"], len(tried)) == ("unsupported", FATAL, 2)
    assert [name.rpartition("/")[2] for name in world.made(FIRST)] == ["outcome.json"]


def test_what_the_machine_is_to_blame_for_does_not_count(world: World) -> None:
    event = world.upload(FIRST)

    def failing(data: bytes, sizes: Any) -> Made:
        raise OSError("no process")

    for _ in range(4):
        with pytest.raises(OSError, match="no process"):
            world.tell(event, work=failing)
    world.tell(event)
    world.apply()
    assert world.photo["status"] == "ready"


def test_two_at_once_do_not_both_count(world: World) -> None:
    event = world.upload(FIRST)

    def work(data: bytes, sizes: Any) -> Made | Unsupported:
        world.tell(event)
        return imaging.work(data, sizes)

    world.tell(event, work=work)
    world.apply()
    assert [one.data for one in world.requests] == [world.requests[0].data] * 2
    assert (world.photo["status"], world.made(FIRST)) == ("ready", WHOLE)


class Faults:
    """Has the nth call fail, before it is made or after, when its answer is lost."""

    def __init__(self, world: World, at: int, when: str) -> None:
        self.calls, self._at, self.are_over = 0, at, False
        for client in (world.s3, world.dynamodb, world.kinesis):
            for moment in ("before-call", "after-call"):
                client.meta.events.register(moment, self._count if moment == when else self._pass)

    def _pass(self, **_: Any) -> None:
        pass

    def _count(self, **_: Any) -> None:
        self.calls += not self.are_over
        if self.calls == self._at and not self.are_over:
            raise EndpointConnectionError(endpoint_url="http://nowhere")


STORIES: dict[str, list[Callable[[World], dict[str, Any]]]] = {
    "uploaded": [lambda world: world.upload(SECOND)],
    "removed": [lambda world: world.upload(FIRST), lambda world: world.delete(SECOND)],
    "too late": [lambda world: world.upload(SECOND), lambda world: world.upload(FIRST)],
    "version gone": [
        lambda world: world.upload(FIRST),
        lambda world: deleted(SECOND, "no such version", bucket=world.bucket, for_good=True),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before-call", "after-call"])
@pytest.mark.parametrize("story", list(STORIES))
def test_whatever_call_fails_the_next_attempt_ends_alike(
    new_client: Clients, make_table: Names, names: Names, story: str, when: str
) -> None:
    ends: list[tuple[Any, ...]] = []
    at, is_done = 0, False
    while not is_done:
        bucket, stream = names("content"), names("requests")
        new_client("s3").create_bucket(Bucket=bucket)
        new_client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        new_client("kinesis").create_stream(StreamName=stream, ShardCount=1)
        world = World(new_client, bucket, make_table("entities"), stream)
        world.client("content.publish", title="A")
        *before, last = STORIES[story]
        for event in before:
            world.tell(event(world))
            world.apply()
        event_told = last(world)
        faults = Faults(world, at, when)
        try:
            world.tell(event_told)
        except (EndpointConnectionError, Unsent):
            world.tell(event_told)
        is_done, faults.are_over = at > faults.calls, True
        world.apply()
        photo = {name: value for name, value in world.photo.items() if name != "object"}
        ends.append((photo, world.made(FIRST), world.made(SECOND)))
        at += 1
    assert ends == [ends[0]] * len(ends)
    assert len(ends) > 2
