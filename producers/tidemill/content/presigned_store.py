"""Uploads to presigned URLs: what a client without AWS credentials does.

Room: SDK, I/O. The HTTP client is botocore's, with its certificates and proxies; which failures are tried again is as
in botocore's standard mode.
"""

from __future__ import annotations

import os
import random
from http import HTTPStatus
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as Xml

import msgspec

from tidemill.aws.loopback import is_loopback
from tidemill.content.apart import run_apart
from tidemill.content.photo_source import PhotoSource
from tidemill.content.presigned import Presigned
from tidemill.content.store import Part
from tidemill.content.token import Token
from tidemill.content.upload import PARTS_AT_ONCE, Upload, Uploaded
from tidemill.content.watch import Watch
from tidemill.errors import UnfitFile
from tidemill.runtime.waiting import News

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidemill.content.photo_source import Photo

ATTEMPTS = 5
LONGEST_PAUSE = 20.0
"""Seconds."""

ANEW = "ask the server for a new presigned upload, with the error's resume=; then only what S3 does not have is sent"
ANOTHER_REGION = "the bucket is in another region than the server's s3 client; make that with region_name="
REMEDIES = {
    "AuthorizationHeaderMalformed": ANOTHER_REGION,
    "AuthorizationQueryParametersError": ANOTHER_REGION,
    "PermanentRedirect": ANOTHER_REGION,
    "AccessDenied": f"the signatures have expired, or their signer may not put there: {ANEW}",
    "ExpiredToken": f"the signer's credentials have expired: {ANEW}",
    "NoSuchBucket": "the server named another bucket than the stack's output ContentBucketName",
    "NoSuchUpload": "ask the server for a new presigned upload",
    "SignatureDoesNotMatch": "something on the way changes the request, such as a proxy",
}


def upload_presigned(
    photo: Photo,
    presigned: Mapping[str, Any],
    *,
    progress: Callable[[int, int, str | None], None] | None = None,
) -> Uploaded:
    """Uploads a photo by a server's `presigned_upload`, without AWS credentials, and waits until it is there.

    If it is interrupted, it can be called again with the same `presigned` while the signatures hold: parts that S3 has
    are not sent again. Later, the server signs anew, with the token.

    Args:
        photo: the file's path, or its bytes, as it was described.
        presigned: the server's document.
        progress: as in `Producer.upload`; is called in this thread.

    Raises:
        UnfitFile: it is not the photo that was described, or changed while it was read; names the remedy.
        NotUploaded: S3 does not have it; names the remedy, and has the token.
        ValueError: `presigned` is none.
        OSError: the file cannot be read.
    """
    try:
        by = msgspec.convert(presigned, Presigned)
    except msgspec.ValidationError as error:
        raise ValueError(f"presigned: it is none of presigned_upload: {error}") from None
    if by.token.parts != range(1, len(by.put) + 1) or len(by.sha256) != len(by.put):
        raise ValueError("presigned: it is none of presigned_upload: it lacks a URL or a SHA-256 of each part")
    source, news = PhotoSource(photo), News()
    if (source.size, source.type.content_type) != (by.token.bytes, by.token.type):
        source.close()
        raise UnfitFile(
            "file", f"the file is not the {by.token.bytes} bytes of {by.token.type} that were described", AGAIN
        )
    store = PresignedStore(by)
    try:
        upload = Upload(store, source, by.token, None, news.tell)
        with Watch(upload, lambda: False, progress) as watch:
            uploaded = run_apart(upload.run, news, watch.look)
    finally:
        store.close()
    watch.tell()
    return uploaded


AGAIN = "describe it again, and have that signed"


class Refused(Exception):
    """S3's answer, if it is an error. Its `response` is as in boto3's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.response = {"Error": {"Code": code, "Message": message}}


class PresignedStore:
    """A store of one photo, which calls S3 by presigned URLs. Thread-safe.

    Args:
        by: the URLs.
    """

    remedies: Mapping[str, str] = REMEDIES

    def __init__(self, by: Presigned) -> None:
        from botocore.httpsession import URLLib3Session  # here, for `import tidemill` to be quick
        from botocore.utils import get_environ_proxies

        self._by = by
        url = by.put[0]
        self.place = urlsplit(url)._replace(query="").geturl()
        session: Any = URLLib3Session
        self._http = session(
            verify=os.environ.get("AWS_CA_BUNDLE") or True,
            proxies={} if is_loopback(url) else get_environ_proxies(url),
            timeout=(5, 20),
            max_pool_connections=PARTS_AT_ONCE,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def put(self, token: Token, body: bytes, digest: str) -> str | None:
        """Stores a small photo. Returns its version."""
        described = {"Content-Type": token.type} | {f"x-amz-meta-{one}": said for one, said in token.metadata.items()}
        answer = self._put(1, body, digest, described)
        return _version(answer)

    def begin(self, token: Token) -> str:
        """Raises AssertionError: the server has begun the upload."""
        raise AssertionError("a presigned upload in parts has begun")

    def parts(self, token: Token) -> Mapping[int, Part] | None:
        """The parts that are there, by number. Raises Refused if there is no such upload any more."""
        answer = self._call("GET", self._by.list)
        found = [_part(one) for one in _root(answer.content).iterfind("{*}Part")]
        return {one.number: one for one in found}

    def send(self, token: Token, number: int, body: bytes, digest: str) -> Part:
        """Stores a part."""
        return Part(number, self._put(number, body, digest, {}).headers["ETag"], len(body), digest)

    def complete(self, token: Token, parts: Sequence[Part]) -> str | None:
        """Makes the photo of its parts. Returns its version."""
        root = Xml.Element("CompleteMultipartUpload", xmlns="http://s3.amazonaws.com/doc/2006-03-01/")
        for one in parts:
            element = Xml.SubElement(root, "Part")
            for name, text in (("ETag", one.etag), ("ChecksumSHA256", one.digest), ("PartNumber", str(one.number))):
                Xml.SubElement(element, name).text = text
        answer = self._call("POST", self._by.complete, Xml.tostring(root), {"Content-Type": "application/xml"})
        if _root(answer.content).find("{*}ETag") is None:
            raise _refused(answer)  # S3 may begin an answer of 200 before it fails
        return _version(answer)

    def abort(self, token: Token) -> None:
        """Drops the parts."""
        self._call("DELETE", self._by.abort)

    def _put(self, number: int, body: bytes, digest: str, headers: Mapping[str, str]) -> Any:
        if self._by.sha256[number - 1 : number] != (digest,):
            raise UnfitFile("file", "the file has changed since it was described", AGAIN)
        answer = self._call("PUT", self._by.put[number - 1], body, {"x-amz-checksum-sha256": digest, **headers})
        if "ETag" not in answer.headers:
            raise Refused("MalformedResponse", "the answer is none of S3")
        return answer

    def _call(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> Any:
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import ConnectionError as NoConnection
        from botocore.exceptions import HTTPClientError

        for attempt in range(ATTEMPTS):
            is_last = attempt == ATTEMPTS - 1
            try:
                answer = self._http.send(AWSRequest(method, url, dict(headers), body).prepare())
            except (NoConnection, HTTPClientError):
                if is_last:
                    raise
            else:
                if answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
                    return answer
                if is_last or not _passes(answer.status_code):
                    raise _refused(answer)
            sleep(min(LONGEST_PAUSE, 2**attempt) * random.random())
        raise AssertionError("the last attempt returns or raises")


def _passes(status: int) -> bool:
    """Whether such a failure is worth another attempt."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS


def _refused(answer: Any) -> Refused:
    try:
        root = _root(answer.content)
    except Xml.ParseError:
        return Refused(str(answer.status_code), "the answer is none of S3")
    code, message = (root.findtext(f"{{*}}{one}") or "" for one in ("Code", "Message"))
    return Refused(code or str(answer.status_code), message)


def _root(content: bytes) -> Xml.Element:
    return Xml.fromstring(content)  # noqa: S314 - of S3, as botocore reads it; expat bounds what entities make


def _part(element: Xml.Element) -> Part:
    texts = {name: element.findtext(f"{{*}}{name}") or "" for name in ("PartNumber", "ETag", "Size", "ChecksumSHA256")}
    return Part(int(texts["PartNumber"]), texts["ETag"], int(texts["Size"]), texts["ChecksumSHA256"])


def _version(answer: Any) -> str | None:
    version: str | None = answer.headers.get("x-amz-version-id")
    return version
