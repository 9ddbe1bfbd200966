"""The media function: makes thumbnails of the photos that come into the bucket, and tells the stream.

Room: composition root. Reads as the flow: what happened, how that stands by the content's document, decoding, storing,
the request.

An event may come late, again, or while another of its photo is at work, and the function may end at any line. So each
step can be repeated: thumbnails are named by their event, `outcome.json` is written after them, and the request is the
same each time. Whatever fails raises, and Lambda brings the event again. The document decides in the end: what is made
of a photo that has been replaced, removed or refused meanwhile is deleted again.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from tidemill.contract.photo_files import MAX_PHOTO_BYTES
from tidemill.contract.request import Document, Request
from tidemill_consumers import State
from tidemill_consumers.adapters.calls import at_once
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.composition import is_entry_point, seals_of
from tidemill_media.adapters.documents import Documents
from tidemill_media.adapters.photo_files import Found, Original, Overtaken, PhotoFiles
from tidemill_media.contents import MEMBERS
from tidemill_media.imaging import Made, Unsupported, work
from tidemill_media.imaging.results import sizes_of
from tidemill_media.processing.notifications import Notification, read
from tidemill_media.processing.requests import (
    FATAL,
    REFUSALS,
    name_of,
    processed,
    processed_request,
    refused_request,
    removed_request,
)
from tidemill_media.processing.standing import shown, standing

MOST_BEGUN = 2
"""Times that decoding may begin and end the function; then its photo is unsupported."""

LONGEST_SECONDS = 90.0
"""Seconds after which no invocation is at work any more on what it began: the template's time-out of the function."""

CLOCKS_DIFFER = 1.0
"""Seconds that the clocks of S3 and of the stream may differ."""

CALLS_AT_ONCE = 8

log = logging.getLogger(__name__)


class Unsent(RuntimeError):
    """The stream did not take a request; the event is to be tried again."""


@dataclass(frozen=True, slots=True)
class Processing:
    """The stores that the function reads and writes, its way to make thumbnails, and a clock, in seconds since 1970."""

    files: PhotoFiles
    documents: Documents
    emits: Emits
    sizes: Sequence[int]
    work: Callable[[bytes, Sequence[int]], Made | Unsupported] = work
    clock: Callable[[], float] = time.time


def media(event: Any, parts: Processing) -> None:
    """Do what an event of the bucket asks for.

    Raises:
        Exception: it is to be tried again.
    """
    told = read(event)
    if told is None:
        log.warning("passed over: %.200r is no name of a content's photo", event["detail"]["object"]["key"])
        return
    if told.kind == "version gone":
        told = _as_it_is_now(told, _document(told, parts), parts)
    if told is not None:
        (_upload if told.kind == "uploaded" else _removal)(told, parts)


def _as_it_is_now(told: Notification, document: State, parts: Processing) -> Notification | None:
    """The event of a version that is gone, as what it left behind; None if the document has that already."""
    known, latest = shown(document, told.photo), parts.files.latest(told.name)
    is_known = latest is None or latest.object == known.get("object")
    if is_known and known.get("version") != told.version:
        parts.files.clear(told)  # an attempt that did not come to its end may have stored what was uncovered then
    if latest is None:
        return None if known.get("status") == "removed" else told._replace(kind="removed")
    if latest.object == known.get("object"):
        return None
    return told._replace(kind="uploaded", object=latest.object, etag=latest.etag, size=latest.size)


def _removal(told: Notification, parts: Processing) -> None:
    """Tell that a photo was removed, if it is not there again: of that, a later event tells, or one that came before.

    A version that is gone says nothing new of a photo whose document has what it uncovered: that of a delete marker may
    come before the marker's own.
    """
    is_new = standing(_document(told, parts), told.photo, told.version) == "new"
    if is_new and parts.files.latest(told.name) is None:
        _send(removed_request(told), told, parts)


def _upload(told: Notification, parts: Processing) -> None:
    if not _is_wanted(told, parts):
        return
    photo = _photo(told, parts)
    if photo is not None and _is_wanted(told, parts):  # seconds later it may not be any more
        _send(processed_request(told, photo), told, parts)


def _is_wanted(told: Notification, parts: Processing) -> bool:
    """Whether the document waits for this photo. If it never will, what is made of the photo goes."""
    stands = standing(_document(told, parts), told.photo, told.version)
    if stands in ("new", "known"):
        return stands == "new"
    log.info("%s, version %s: %s", told.name, told.version, stands)
    parts.files.clear(told)
    if why := REFUSALS.get(stands):
        _send(refused_request(told, why), told, parts)
    return False


def _photo(told: Notification, parts: Processing) -> Document | None:
    """The outcome of a photo, made and stored if it is not yet; None if this version of it is gone."""
    before = parts.files.progress(told)
    if before.progress.photo is not None:
        return before.progress.photo
    if told.size > MAX_PHOTO_BYTES:
        return _unsupported(told, f"the file is larger than {MAX_PHOTO_BYTES >> 20} MiB", parts)
    if before.progress.begun >= MOST_BEGUN:
        if parts.clock() - before.noted < LONGEST_SECONDS:
            raise Overtaken(f"{told.name}, version {told.version}")
        parts.files.clear(told, but_progress=True)  # some thumbnails may have been stored
        return _unsupported(told, FATAL, parts)
    original = parts.files.original(told)
    if original is None:
        log.info("%s, version %s: it is gone, which a later event tells", told.name, told.version)
        parts.files.clear(told)  # an attempt that did not come to its end may have stored something
        return None
    if isinstance(original, Unsupported):
        return _unsupported(told, original.reason, parts)
    return _made(told, original, before, parts)


def _made(told: Notification, original: Original, before: Found, parts: Processing) -> Document:
    begun = parts.files.begin(told, before)
    try:
        outcome = parts.work(original.data, parts.sizes)
        photo = processed(told, outcome, with_place=original.with_place)
        if isinstance(outcome, Made):
            parts.files.put([(name_of(told, one), one) for one in outcome.thumbnails])
        parts.files.finish(told, photo)
    except Exception:  # not the photo's fault, which is a value: it must not count as begun
        parts.files.end(told, before, begun)
        raise
    log.info("%s, version %s: %s", told.name, told.version, photo.get("reason", photo["status"]))
    return photo


def _unsupported(told: Notification, why: str, parts: Processing) -> Document:
    photo = processed(told, Unsupported(why), with_place=False)
    parts.files.finish(told, photo)
    log.warning("%s, version %s: %s", told.name, told.version, why)
    return photo


def _document(told: Notification, parts: Processing) -> State:
    return parts.documents.read([told.photo.key]).get(told.photo.key)


def _send(request: Request, told: Notification, parts: Processing) -> None:
    if not parts.emits.put(request, told.at / 1000 - CLOCKS_DIFFER):
        raise Unsent(f"{request.cmd} of {told.name}")


@cache
def processing() -> Processing:
    """The parts that the environment variables describe, made once in each environment of the function.

    Raises:
        KeyError: a variable is missing.
    """
    env = os.environ
    config = Config(retries={"mode": "standard"}, max_pool_connections=CALLS_AT_ONCE)
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    s3, dynamodb = boto3.client("s3", config=config), boto3.client("dynamodb", config=config)
    stream = env["TIDEMILL_STREAM"]
    seals = seals_of(stream, env["TIDEMILL_APPLICATION_SECRET_ARN"], config)
    return Processing(
        files=PhotoFiles(s3, env["TIDEMILL_CONTENT_BUCKET"], at_once(CALLS_AT_ONCE, "thumbnails")),
        documents=Documents(dynamodb, env["TIDEMILL_TABLE"], MEMBERS),
        emits=Emits(boto3.client("kinesis", config=once), stream, seals=seals),
        sizes=sizes_of(env["TIDEMILL_THUMBNAIL_SIZES"]),
    )


def handler(event: Any, context: object) -> None:
    """Lambda's entry point."""
    media(event, processing())


if is_entry_point(f"{__name__}.{handler.__name__}"):
    processing()
