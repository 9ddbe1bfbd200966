"""The thumbnail function: GET of a thumbnail of any of some sizes, which is made when it is first asked for.

Room: composition root. Reads as the flow: the path, the content's document, what is there already, decoding, storing.

The answer redirects to the object in the bucket, by a URL that is signed for some minutes. What is made is named by its
photo's version. The document is read again after it was stored: if another photo is shown by then, or none, the index
function may have looked for what to delete before it was there, so it is deleted here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypedDict

import boto3
from botocore.config import Config

from tidemill.contract.places import photo_name
from tidemill_consumers.composition import is_entry_point
from tidemill_media.adapters.cached_thumbnails import CachedThumbnails, Stored
from tidemill_media.adapters.documents import Documents
from tidemill_media.contents import ReadyPhoto
from tidemill_media.imaging import Made, Unsupported, work
from tidemill_media.imaging.apart import Overdue
from tidemill_media.imaging.results import sizes_of
from tidemill_media.processing.asked import Asked, cached_name, made_before, read, ready
from tidemill_media.processing.responses import HttpResponse, not_found, not_now, redirect

ROUNDS = 3
"""Times that a photo may be replaced while a thumbnail of it is made."""

log = logging.getLogger(__name__)


class HttpEvent(TypedDict):
    """The part of an HTTP API's event, payload format 2.0, that is read."""

    rawPath: str


@dataclass(frozen=True, slots=True)
class Serving:
    """The stores that the function reads and writes, the sizes that it makes, and its way to make them."""

    files: CachedThumbnails
    documents: Documents
    sizes: Sequence[int]
    work: Callable[[bytes, Sequence[int], Sequence[str]], Made | Unsupported] = work


def thumbnail(event: HttpEvent, parts: Serving) -> HttpResponse:
    """Answer a GET.

    Raises:
        Unloadable, ClientError, BotoCoreError, OSError: it cannot be told now what there is.
    """
    asked = read(event["rawPath"])
    if asked is None:
        return not_found("a thumbnail is asked for by /thumbnails/KEY/SIZE.webp or .jpeg, of a key content/...")
    try:
        return _answer(asked, parts)
    except Overdue as error:
        log.warning("%s: %s", asked, error)
        return not_now(str(error))


def _answer(asked: Asked, parts: Serving) -> HttpResponse:
    photo = _photo(asked, parts)
    for _ in range(ROUNDS):
        if photo is None:
            return not_found("there is no content of this key that shows a photo")
        if name := made_before(asked, photo):
            return redirect(parts.files.url(name))
        if asked.size not in parts.sizes:
            return not_found(f"thumbnails are not made of {asked.size} pixels")
        name = cached_name(asked, photo)
        if stored := parts.files.find(name):
            return _told(name, stored, parts)
        stored = _made(asked, photo, name, parts)
        now = _photo(asked, parts)
        if _is_same(now, photo):
            return _told(name, stored, parts) if stored else not_found("the photo is gone")
        parts.files.delete(name)
        photo = now
    return not_now("its photo is being replaced")


def _photo(asked: Asked, parts: Serving) -> ReadyPhoto | None:
    return ready(parts.documents.read([asked.key]).get(asked.key))


def _made(asked: Asked, photo: ReadyPhoto, name: str, parts: Serving) -> Stored | None:
    """The object that is stored by now; None if the photo is gone from the bucket."""
    original = parts.files.original(photo_name(photo.by, asked.key), photo.object)
    if original is None:
        return None
    outcome = parts.work(original, [asked.size], [asked.extension])
    if isinstance(outcome, Unsupported):
        return parts.files.refuse(name, outcome)
    (made,) = outcome.thumbnails
    return parts.files.put(name, made)


def _is_same(now: ReadyPhoto | None, photo: ReadyPhoto) -> bool:
    return now is not None and (now.by, now.version) == (photo.by, photo.version)


def _told(name: str, stored: Stored, parts: Serving) -> HttpResponse:
    return redirect(parts.files.url(name)) if stored.reason is None else not_found(stored.reason)


@cache
def serving() -> Serving:
    """The parts that the environment variables describe, made once in each environment of the function.

    Raises:
        KeyError: a variable is missing.
    """
    env = os.environ
    config = Config(retries={"mode": "standard"})
    # Otherwise its URLs name S3's global endpoint, which redirects buckets of other regions, or have no region signed.
    regional = config.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
    return Serving(
        files=CachedThumbnails(boto3.client("s3", config=regional), env["TIDEMILL_CONTENT_BUCKET"]),
        documents=Documents(boto3.client("dynamodb", config=config), env["TIDEMILL_TABLE"]),
        sizes=sizes_of(env["TIDEMILL_CACHED_THUMBNAIL_SIZES"]),
    )


def handler(event: HttpEvent, context: object) -> HttpResponse:
    """Lambda's entry point."""
    return thumbnail(event, serving())


if is_entry_point(f"{__name__}.{handler.__name__}"):
    serving()
