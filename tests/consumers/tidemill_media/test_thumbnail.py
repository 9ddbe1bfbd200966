"""The thumbnail function: what a GET is answered with, what is made and stored for it, and what changes meanwhile."""

from __future__ import annotations

import io
import json
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Barrier, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.conftest import Clients
from tests.consumers.tidemill_media.contents import document, image, photo
from tidemill.contract.places import CACHED, Photo, photo_name, thumbnails_prefix
from tidemill_media import imaging
from tidemill_media.adapters.cached_thumbnails import CachedThumbnails
from tidemill_media.adapters.documents import Documents
from tidemill_media.imaging import Made, Unsupported
from tidemill_media.imaging.apart import Overdue
from tidemill_media.processing.responses import HttpResponse
from tidemill_media.thumbnail import Serving, thumbnail

KEY, ADA = "content/sea side", Photo("ada", "content/sea side")
NAME = photo_name(*ADA)
SIZES = (64, 32)


def picture(side: int = 80) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side // 2), "red").save(file, "PNG")
    return file.getvalue()


class World:
    """A bucket with a photo and a table with the document that shows it."""

    def __init__(self, make: Clients, bucket: str, table: str) -> None:
        self.s3, self.dynamodb = make("s3"), make("dynamodb")
        self.bucket, self.table = bucket, table
        self.decoded = 0
        self.parts = Serving(CachedThumbnails(self.s3, bucket), Documents(self.dynamodb, table), SIZES, self._work)

    def _work(self, data: bytes, sizes: Sequence[int], formats: Sequence[str]) -> Made | Unsupported:
        self.decoded += 1
        return imaging.work(data, sizes, formats)

    def show(self, version: str = "1", data: bytes | None = None, **other: Any) -> None:
        """Upload a photo, and have the document show it."""
        stored = self.s3.put_object(Bucket=self.bucket, Key=NAME, Body=data or picture())
        self.document(document(photo=photo(version=version.ljust(32, "0"), object=stored["VersionId"], **other)))

    def document(self, found: dict[str, Any] | None) -> None:
        self.dynamodb.put_item(TableName=self.table, Item={**image(KEY, found), "writers": {"B": b""}})

    def get(self, size: int = 64, extension: str = "webp", key: str = KEY, **other: Any) -> HttpResponse:
        return thumbnail({"rawPath": f"/thumbnails/{key}/{size}.{extension}"}, replace(self.parts, **other))

    def cached(self) -> list[str]:
        """The names of what is stored, behind the photo's own."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=CACHED).get("Contents", [])
        return [one["Key"].removeprefix(thumbnails_prefix(ADA, CACHED)) for one in listed]


@pytest.fixture
def world(new_client: Clients, content_bucket: str, table: str) -> World:
    found = World(new_client, content_bucket, table)
    found.show()
    return found


def version(first: str) -> str:
    return first.ljust(32, "0")


def followed(answer: HttpResponse) -> tuple[Image.Image, str]:
    """The picture that a redirect leads to, and its content type."""
    assert answer["statusCode"] == 302, answer
    with urllib.request.urlopen(answer["headers"]["location"]) as response:
        return Image.open(io.BytesIO(response.read())), response.headers["Content-Type"]


def reason(answer: HttpResponse) -> str:
    assert answer["statusCode"] == 404, answer
    return str(json.loads(answer["body"])["error"])


def test_a_thumbnail_is_made_at_the_first_get_and_served_from_then_on(world: World) -> None:
    made, kind = followed(world.get())
    assert (made.size, made.format, kind) == ((64, 32), "WEBP", "image/webp")
    assert world.cached() == [f"{version('1')}/64.webp"]
    again, _ = followed(world.get())
    assert (again.size, world.decoded) == ((64, 32), 1)
    other, kind = followed(world.get(32, "jpeg"))
    assert (other.size, other.format, kind, world.decoded) == ((32, 16), "JPEG", "image/jpeg", 2)
    head = world.s3.head_object(Bucket=world.bucket, Key=f"{thumbnails_prefix(ADA, CACHED)}{version('1')}/64.webp")
    assert head["CacheControl"] == "private, max-age=31536000, immutable"


def test_a_photo_is_never_enlarged(world: World) -> None:
    world.show("2", picture(20))
    assert followed(world.get())[0].size == (20, 10)


def test_what_was_made_when_the_photo_came_is_not_made_again(world: World) -> None:
    own = {"size": 512, "width": 64, "height": 32, "type": "image/webp", "name": "thumbnails/own", "bytes": 9}
    world.show("2", thumbnails=[own])
    answer = world.get(512)
    assert answer["statusCode"] == 302
    assert "/thumbnails/own?" in answer["headers"]["location"]
    assert (world.decoded, world.cached()) == (0, [])


def test_other_sizes_are_not_made(world: World) -> None:
    assert reason(world.get(63)) == "thumbnails are not made of 63 pixels"
    assert (world.decoded, world.cached()) == (0, [])


@pytest.mark.parametrize(
    "shown",
    [
        None,
        {"uploads": {"ada": photo()}},
        document(deleted=True),
        document(photo=photo(status="removed")),
        document(photo=photo(status="unsupported", reason="a video")),
    ],
)
def test_what_no_content_shows_is_not_there(world: World, shown: dict[str, Any] | None) -> None:
    world.get()
    world.document(shown)
    assert reason(world.get()) == "there is no content of this key that shows a photo"
    assert reason(world.get(key="content/other")) == "there is no content of this key that shows a photo"
    assert world.decoded == 1


def test_a_path_of_something_else_is_not_there(world: World) -> None:
    assert reason(world.get(key="user/ada")).startswith("a thumbnail is asked for by")


def test_the_version_that_the_document_shows_is_read_though_a_later_one_is_there(world: World) -> None:
    world.s3.put_object(Bucket=world.bucket, Key=NAME, Body=b"a later upload that nothing tells of yet")
    assert followed(world.get())[0].size == (64, 32)


def test_of_a_photo_whose_version_is_gone_nothing_is_made(world: World) -> None:
    for one in world.s3.list_object_versions(Bucket=world.bucket, Prefix="photos/")["Versions"]:
        world.s3.delete_object(Bucket=world.bucket, Key=NAME, VersionId=one["VersionId"])
    assert reason(world.get()) == "the photo is gone"
    assert world.cached() == []


def test_what_cannot_be_made_says_why_and_is_not_decoded_again(world: World) -> None:
    world.show("2", b"no picture")
    first = reason(world.get())
    assert first == reason(world.get())
    assert first
    assert world.decoded == 1


def test_a_machine_that_is_slow_is_to_be_asked_again(world: World) -> None:
    def slow(data: bytes, sizes: Sequence[int], formats: Sequence[str]) -> Made:
        raise Overdue("a photo was given 0.2 s of a core in 20 s")

    answer = world.get(work=slow)
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
    assert world.cached() == []
    assert world.get()["statusCode"] == 302


def meanwhile(world: World, change: Callable[[], None]) -> Callable[..., Made | Unsupported]:
    """What decodes, while a change comes at the first time."""
    changes = [change]

    def work(data: bytes, sizes: Sequence[int], formats: Sequence[str]) -> Made | Unsupported:
        while changes:
            changes.pop()()
        return imaging.work(data, sizes, formats)

    return work


def test_of_a_photo_that_is_removed_meanwhile_nothing_stays(world: World) -> None:
    def remove() -> None:
        world.document(document(photo=photo(status="removed", version=version("2"))))

    assert reason(world.get(work=meanwhile(world, remove))) == "there is no content of this key that shows a photo"
    assert world.cached() == []


def test_of_a_photo_that_is_replaced_meanwhile_the_new_one_is_shown(world: World) -> None:
    answer = world.get(work=meanwhile(world, lambda: world.show("2", picture(40))))
    assert followed(answer)[0].size == (40, 20)
    assert world.cached() == [f"{version('2')}/64.webp"]


def test_of_a_photo_that_is_replaced_all_the_time_nothing_stays(world: World) -> None:
    versions = iter("23456789")

    def work(data: bytes, sizes: Sequence[int], formats: Sequence[str]) -> Made | Unsupported:
        world.show(next(versions))
        return imaging.work(data, sizes, formats)

    assert world.get(work=work)["statusCode"] == 503
    assert world.cached() == []


def test_two_at_once_end_the_same(world: World) -> None:
    together, answers = Barrier(2), []

    def work(data: bytes, sizes: Sequence[int], formats: Sequence[str]) -> Made | Unsupported:
        together.wait(60)
        return imaging.work(data, sizes, formats)

    threads = [Thread(target=lambda: answers.append(world.get(work=work))) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [followed(one)[0].size for one in answers] == [(64, 32), (64, 32)]
    versions = world.s3.list_object_versions(Bucket=world.bucket, Prefix=CACHED)["Versions"]
    assert len({one["ETag"] for one in versions}) == 1, "each stored the same bytes"


@pytest.mark.parametrize("call", ["HeadObject", "GetObject", "PutObject"])
def test_what_fails_for_another_reason_is_raised(world: World, call: str) -> None:
    refused = (SimpleNamespace(status_code=403), {"Error": {"Code": "403", "Message": "Forbidden"}})
    world.s3.meta.events.register(f"before-call.s3.{call}", lambda **_: refused)
    with pytest.raises(ClientError, match="Forbidden"):
        world.get()
