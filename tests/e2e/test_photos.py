"""Photos on the whole local platform: a client uploads, replaces and removes one under its own role."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from PIL import Image

from tests.signing_in import SignedIn, sign_in
from tidemill import Producer
from tidemill.contract.places import photo_name
from tidemill.contract.request import Document
from tidemill_consumers.codec.items import from_attribute
from tidemill_local.clients import REGION, EmulatorSession
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(300)

KEY = "content/sea"
PARAMETERS = {
    "Photos": "on",
    "ApplicationSecret": "s" * 43,
    "BatchingWindowSeconds": "0",
    "ShardCount": "1",
    "ThumbnailSizes": "64,16",
    "CachedThumbnailSizes": "32,24",
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

    def __init__(self, platform: Platform, session: EmulatorSession, ada: SignedIn, key: str = KEY) -> None:
        self.s3, self.dynamodb = session.client("s3"), session.client("dynamodb")
        self.bucket, self.table = platform.outputs["ContentBucketName"], platform.outputs["TableName"]
        self.key, self.name = key, photo_name(ada.identity, key)

    @property
    def photo(self) -> Document:
        found = self.dynamodb.get_item(TableName=self.table, Key={"pk": {"S": self.key}}, ProjectionExpression="doc")
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
    assert becomes(lambda: left(platform, content, "thumbnails/") == [])
    missed = platform.emulator.client("sqs").receive_message(QueueUrl=platform.outputs["MissedPhotosUrl"])
    assert missed.get("Messages", []) == []


def left(platform: Platform, content: Content, prefix: str) -> list[Any]:
    """What lies in the bucket below `thumbnails/` or `cached/`; the index function deletes what nobody needs."""
    listed = platform.emulator.client("s3").list_objects_v2(Bucket=content.bucket, Prefix=prefix)
    return [one["Key"] for one in listed.get("Contents", [])]


class Thumbnails:
    """The HTTP API, as a client with these credentials sees it; without any, none signs."""

    def __init__(self, url: str, signed_in: SignedIn | None = None) -> None:
        self._url = url
        self._credentials = Credentials(signed_in.key, signed_in.secret, signed_in.token) if signed_in else None
        self._http = urllib3.PoolManager(cert_reqs="CERT_NONE", assert_hostname=False)

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        """The answer to a GET of a path behind the URL, not followed."""
        url = f"{self._url}/{path}"
        host = urlsplit(url).netloc
        request = AWSRequest("GET", url, headers={"host": host})
        if self._credentials:
            SigV4Auth(self._credentials, "execute-api", REGION).add_auth(request)
        # The emulator's hosts are names within localhost, which not every resolver knows.
        here = urlsplit(url)._replace(netloc=f"127.0.0.1:{urlsplit(url).port}").geturl()
        return self._http.request("GET", here, headers=dict(request.headers), redirect=False)

    def picture(self, path: str) -> Image.Image:
        """What an answer redirects to, which needs no signature."""
        answer = self.get(path)
        assert answer.status == 302, answer.data
        return Image.open(io.BytesIO(self._http.request("GET", answer.headers["location"]).data))


def test_a_thumbnail_of_another_size_is_made_when_it_is_asked_for_and_goes_with_its_photo(
    platform: Platform, session: EmulatorSession, ada: SignedIn
) -> None:
    key = "content/Sea & sky"
    content = Content(platform, session, ada, key)
    url = platform.outputs["ThumbnailsUrl"]
    thumbnails, path = Thumbnails(url, sign_in(platform.emulator, platform.outputs, "bob")), quote(key)
    with Producer(platform.outputs["StreamName"], client=ada.identity, kinesis=session.client("kinesis")) as producer:
        producer.send("content.publish", key=key, data={"title": "Sea"}).result(30)
    assert thumbnails.get(f"{path}/32.webp").status == 404, "there is no photo yet"
    content.s3.put_object(Bucket=content.bucket, Key=content.name, Body=picture("red"))
    assert becomes(lambda: content.photo.get("status") == "ready")
    assert thumbnails.picture(f"{path}/64.webp").size == (64, 32), "it was made when the photo came"
    assert left(platform, content, "cached/") == []
    assert thumbnails.picture(f"{path}/32.webp").size == (32, 16)
    (stored,) = left(platform, content, "cached/")
    assert thumbnails.picture(f"{path}/32.webp").format == "WEBP"
    assert thumbnails.picture(f"{quote(key, safe='')}/32.webp").size == (32, 16)
    versions = platform.emulator.client("s3").list_object_versions(Bucket=content.bucket, Prefix="cached/")["Versions"]
    assert [one["Key"] for one in versions] == [stored], "it was stored once"
    assert json.loads(thumbnails.get(f"{path}/33.webp").data) == {"error": "thumbnails are not made of 33 pixels"}
    assert thumbnails.get("content/none/32.webp").status == 404
    assert Thumbnails(url).get(f"{path}/32.webp").status == 403, "it is not signed"
    content.s3.delete_object(Bucket=content.bucket, Key=content.name)
    assert becomes(lambda: content.photo["status"] == "removed")
    assert thumbnails.get(f"{path}/32.webp").status == 404
    assert becomes(lambda: left(platform, content, "cached/") == [])
