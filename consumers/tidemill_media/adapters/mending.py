"""Files of the index that were deleted, or overwritten by something else: put back, or gone on without.

Room: adapters. Tests: tests/consumers/tidemill_media/test_index.py, test_rebuilding.py beside it.

A file is put back from its earlier versions, which the bucket keeps for a day. If none is left, the manifest goes on
without it and says so: `incomplete`.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from botocore.exceptions import ClientError
from msgspec import structs

from tidemill.contract.content_index import (
    MANIFEST,
    Entry,
    Manifest,
    Page,
    UnreadableIndex,
    read_manifest,
    read_page,
    version_in,
)
from tidemill_media.adapters.index_files import Held, IndexFiles
from tidemill_media.adapters.objects import is_gone
from tidemill_media.indexing.pages import is_as_listed

log = logging.getLogger(__name__)


class LostFile(UnreadableIndex):
    """A file of the index is gone or damaged, and no version of it is left. The index goes on without."""


def mended_manifest(files: IndexFiles, folder: str) -> Held:
    """The manifest, which is put back if its file was lost or damaged.

    Raises:
        LostFile: there is no version of it; it begins anew, without pages, and says that it is incomplete.
        ClientError, BotoCoreError: it cannot be read, or not be put back.
    """
    while True:
        etag = None
        try:
            held = files.manifest(folder)
        except UnreadableIndex:
            etag = files.etag(folder)
        else:
            if held.etag or not _had_manifest(files, folder):
                return held
        _put_manifest_back(files, folder, etag)


def mended_page(files: IndexFiles, folder: str, page: Page) -> tuple[Entry, ...]:
    """The entries of a page that the manifest lists; its file is put back if it was lost or damaged.

    Raises:
        LostFile: there is no version of it; the manifest goes on without it, and says that it is incomplete.
        ClientError, BotoCoreError: it cannot be read, or not be put back.
    """
    try:
        entries = files.page(folder, page.name)
        if is_as_listed(page, entries):
            return entries
    except UnreadableIndex:
        pass
    except ClientError as error:
        if not is_gone(error):
            raise
    for body in files.earlier(f"{folder}{page.name}"):
        with suppress(UnreadableIndex):
            entries = read_page(body)
            if is_as_listed(page, entries):
                log.warning("%s%s was lost or damaged, and is put back", folder, page.name)
                files.put_page(folder, page.name, entries)
                return entries
    files.drop(folder, {page.name})
    raise LostFile(f"{folder}{page.name} is lost; its {page.count} contents are missing until `tidemill reindex`")


def complete(files: IndexFiles, folder: str, since: int) -> None:
    """Note that nothing is missing of what was lost until a time; what was lost later still may be."""
    while True:
        manifest, etag = files.manifest(folder)
        whole = structs.replace(manifest, version=manifest.version + 1, incomplete=None)
        if manifest.incomplete != since or files.swap(folder, whole, etag):
            return


def _had_manifest(files: IndexFiles, folder: str) -> bool:
    """Whether there was a manifest once: it has versions, or there is a page that only a second one can list."""
    has_versions = files.had_versions(f"{folder}{MANIFEST}")
    return has_versions or any((version_in(name) or 0) > 1 for name in files.names(folder))


def _put_manifest_back(files: IndexFiles, folder: str, etag: str | None) -> None:
    """Put a manifest in place of the one with that ETag, or of none: the last that can be read, or an empty one.

    Its version is beyond all pages there, so that no page can be taken for another.
    """
    last = max((version_in(name) or 0 for name in files.names(folder)), default=0)
    for body in files.earlier(f"{folder}{MANIFEST}"):
        with suppress(UnreadableIndex):
            found = read_manifest(body)
            log.warning("%s%s was lost or damaged, and is put back", folder, MANIFEST)
            files.swap(folder, structs.replace(found, version=max(found.version, last) + 1), etag)
            return
    if files.swap(folder, Manifest(last + 1, incomplete=int(files.clock() * 1000)), etag):
        raise LostFile(f"{folder}{MANIFEST} is lost; its contents are missing until `tidemill reindex`")
