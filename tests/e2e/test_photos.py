"""Photos on the whole local platform: a client uploads, replaces and removes one under its own role."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from tests.signing_in import SignedIn, sign_in
from tidemill import Producer
from tidemill.contract.places import photo_name
from tidemill.contract.request import Document
from tidemill_consumers.codec.items import from_attribute
from tidemill_local.clients import EmulatorSession
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(300)

KEY = "content/sea"
PARAMETERS = {
    "Photos": "on",
    "ApplicationSecret": "s" * 43,
    "BatchingWindowSeconds": "0",
    "ShardCount": "1",
    "ThumbnailSizes": "64,16",
}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(0, PARAMETERS) as running:
        yield running


@pytest.fixture(scope="module")
def ada(platform: Platform) -> SignedIn:
    return sign_in(platform.emulator, platform.outputs, "ada")


@pytest.fixture(scope="module")
def session(platform: Platform, ada: SignedIn) -> EmulatorSession:
    return platform.emulator.session(ada.key, ada.secret, ada.token)


def picture(color: str, side: int = 80) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side // 2), color).save(file, "JPEG")
    return file.getvalue()


class Content:
    """A content, as the client sees it."""

    def __init__(self, platform: Platform, session: EmulatorSession, ada: SignedIn) -> None:
        self.s3, self.dynamodb = session.client("s3"), session.client("dynamodb")
        self.bucket, self.table = platform.outputs["ContentBucketName"], platform.outputs["TableName"]
        self.name = photo_name(ada.identity, KEY)

    @property
    def photo(self) -> Document:
        found = self.dynamodb.get_item(TableName=self.table, Key={"pk": {"S": KEY}}, ProjectionExpression="doc")
        document: Document = from_attribute(found.get("Item", {}).get("doc", {"M": {}}))
        photo: Document = document.get("photo", {})
        return photo

    def thumbnails(self) -> list[tuple[int, int]]:
        files = [self.s3.get_object(Bucket=self.bucket, Key=one["name"]) for one in self.photo["thumbnails"]]
        return [Image.open(io.BytesIO(file["Body"].read())).size for file in files]


def becomes(condition: Callable[[], bool]) -> bool:
    """Whether something comes true in a minute: functions of several megabytes begin, on a machine with much to do."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_photo_is_uploaded_shown_replaced_and_removed(
    platform: Platform, session: EmulatorSession, ada: SignedIn
) -> None:
    content = Content(platform, session, ada)
    with Producer(platform.outputs["StreamName"], client=ada.identity, kinesis=session.client("kinesis")) as producer:
        producer.send("content.publish", key=KEY, data={"title": "Sea"}).result(30)
    content.s3.put_object(Bucket=content.bucket, Key=content.name, Body=picture("red"))
    assert becomes(lambda: content.photo.get("status") == "ready")
    first = content.photo
    assert content.thumbnails() == [(64, 32), (64, 32), (16, 8), (16, 8)]
    content.s3.put_object(Bucket=content.bucket, Key=content.name, Body=picture("blue", 40))
    assert becomes(lambda: bool(content.photo.get("version", "") > first["version"]))
    assert content.thumbnails() == [(40, 20), (40, 20), (16, 8), (16, 8)]
    content.s3.put_object(Bucket=content.bucket, Key=content.name, Body=b"no picture")
    assert becomes(lambda: content.photo["status"] == "unsupported")
    content.s3.delete_object(Bucket=content.bucket, Key=content.name)
    assert becomes(lambda: content.photo["status"] == "removed")
    assert becomes(lambda: thumbnails_left(platform, content) == [])
    missed = platform.emulator.client("sqs").receive_message(QueueUrl=platform.outputs["MissedPhotosUrl"])
    assert missed.get("Messages", []) == []


def thumbnails_left(platform: Platform, content: Content) -> list[Any]:
    """What lies in the bucket below `thumbnails/`; the index function deletes what nobody needs."""
    listed = platform.emulator.client("s3").list_objects_v2(Bucket=content.bucket, Prefix="thumbnails/")
    return [one["Key"] for one in listed.get("Contents", [])]
