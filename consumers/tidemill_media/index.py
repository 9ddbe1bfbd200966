"""The index function: keeps the index of contents, and deletes old thumbnails, as the table's stream tells of changes.

Room: composition root. Reads as the flow: which contents changed, their indexes, the thumbnails that nobody needs.

A record of the stream says that a content changed, and where its entry may stand; what is to stand there is read from
the table, each time after the manifest that is to be replaced. Of two writers of one manifest the slower one fails, and
begins again by reading both. So whatever a manifest lists was true after the manifest before it was written, and no
late, repeated or interrupted delivery puts back what was true once. A content that changes faster than it is listed is
listed once all the same: `pages.placed` says how.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from random import random

import boto3
from botocore.config import Config

from tidemill.contract.content_index import GRACE_MS
from tidemill.contract.request import Document
from tidemill_consumers.adapters.calls import MapCalls, at_once
from tidemill_consumers.composition import is_entry_point
from tidemill_media.adapters.documents import Documents
from tidemill_media.adapters.index_files import Held, IndexFiles
from tidemill_media.adapters.mending import mended_manifest, mended_page
from tidemill_media.adapters.old_thumbnails import OldThumbnails
from tidemill_media.indexing.changes import Listed, TableEvent, change_of, contents, folders, relisted
from tidemill_media.indexing.outdated import outdated
from tidemill_media.indexing.pages import placed, touched, updated

ROUNDS = 20
"""Times that a manifest is read and written before its batch is delivered again. There is a writer for each shard of
the table's stream, and in each round one of them succeeds."""

PAUSE_SECONDS = 0.05
"""Longest time before the second round; each further one may wait so much longer."""

CALLS_AT_ONCE = 16


class Contended(RuntimeError):
    """Other writers were faster in each round; the batch is delivered again."""


@dataclass(frozen=True, slots=True)
class Indexing:
    """The stores that the function uses, its ways to make several calls and to wait; a clock, in seconds since 1970;
    and for how many milliseconds pages stay that are replaced."""

    files: IndexFiles
    documents: Documents
    thumbnails: OldThumbnails
    calls: MapCalls
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    grace: int = GRACE_MS


def index(event: TableEvent, parts: Indexing) -> None:
    """Bring the indexes up to date with a batch of the table's stream, then delete what they do not name any more.

    Raises:
        Contended, Unloadable, Undeleted, ClientError, BotoCoreError: it is to be delivered again.
        LostFile: it is, too; then the index goes on without that file.
    """
    changed = contents(event)
    relist(relisted(changed), parts)
    parts.thumbnails.delete([old for content in changed for old in outdated(content)])


def relist(listed: Sequence[Listed], parts: Indexing) -> None:
    """Bring the indexes up to date that list these contents.

    Raises:
        Contended, Unloadable, LostFile, ClientError, BotoCoreError: some indexes may be as they were.
    """
    pending = folders(listed)
    for tries in range(ROUNDS):
        if not pending:
            return
        if tries:
            parts.pause(random() * PAUSE_SECONDS * tries)
        held = dict(zip(pending, parts.calls(partial(mended_manifest, parts.files), pending), strict=True))
        documents = parts.documents.read(one.key for one in listed)
        update = partial(_update, listed=listed, documents=documents, held=held, parts=parts)
        are_done = dict(zip(pending, parts.calls(update, pending.items()), strict=True))
        pending = {folder: owner for folder, owner in pending.items() if not are_done[folder]}
    if pending:
        raise Contended(f"{len(pending)} indexes, of which one is {min(pending)}")


def _update(
    of: tuple[str, str | None],
    listed: Sequence[Listed],
    documents: Mapping[str, Document],
    held: Mapping[str, Held],
    parts: Indexing,
) -> bool:
    """Bring one index up to date; False if another writer was faster."""
    folder, owner = of
    manifest, etag = held[folder]
    change = change_of(listed, documents, owner)
    pages = {place: mended_page(parts.files, folder, manifest.pages[place]) for place in touched(manifest, change)}
    update = updated(manifest, pages, placed(change, pages), int(parts.clock() * 1000), parts.grace)
    if update is None:
        return True
    for name, entries in update.pages.items():
        parts.files.put_page(folder, name, entries)
    is_done = parts.files.swap(folder, update.manifest, etag)
    if is_done and update.has_expired:
        parts.files.collect(folder, update.manifest)
    return is_done


@cache
def indexing() -> Indexing:
    """The parts that the environment variables describe, made once in each environment of the function.

    Raises:
        KeyError: a variable is missing.
    """
    config = Config(retries={"mode": "standard"}, max_pool_connections=CALLS_AT_ONCE)
    s3, bucket = boto3.client("s3", config=config), os.environ["TIDEMILL_CONTENT_BUCKET"]
    documents = Documents(boto3.client("dynamodb", config=config), os.environ["TIDEMILL_TABLE"])
    calls = at_once(CALLS_AT_ONCE, "index")
    return Indexing(IndexFiles(s3, bucket), documents, OldThumbnails(s3, bucket, calls), calls)


def handler(event: TableEvent, context: object) -> None:
    """Lambda's entry point."""
    index(event, indexing())


if is_entry_point(f"{__name__}.{handler.__name__}"):
    indexing()
