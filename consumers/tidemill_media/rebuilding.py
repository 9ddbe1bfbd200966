"""Rebuilds the index of contents from the table, where records of the table's stream or files of the index were lost.

Room: composition root. Compares what the table has with what is listed, and lists anew what differs, by the index
function's own way: what is listed is read from the table after the manifest that is replaced. So it may run beside the
function, be interrupted, and run again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeAlias

from tidemill.contract.content_index import Entry, Page, order
from tidemill.contract.places import index_folder
from tidemill_consumers.adapters.entities import chunks
from tidemill_media.adapters.mending import LostFile, complete, mended_manifest, mended_page
from tidemill_media.index import Indexing, relist
from tidemill_media.indexing.changes import Listed
from tidemill_media.indexing.entries import entry_of

CONTENTS = "content/"
"""How the keys begin that the index function is told of, by its mapping's filter."""

SEGMENTS = 32
"""Parts that the table is read in, some at once."""

AT_A_TIME = 1_000
"""Contents that are listed at once; they are sorted, so that those of one page come together."""


class Rebuilt(NamedTuple):
    """The counts of a rebuild: contents to list, indexes, their files that were lost, contents listed anew."""

    contents: int
    indexes: int
    damaged: int
    relisted: int


_Wanted: TypeAlias = dict[str, dict[str, tuple[int, int]]]
"""By folder and key: when the photo was uploaded, and the entry's hash; whole entries would fill the memory."""

_Differing: TypeAlias = dict[str, set[Entry]]
"""By key: the entries that are listed and should not be."""


def rebuild(parts: Indexing, tell: Callable[[str], None] = lambda text: None) -> Rebuilt:
    """Bring all indexes up to date with the table.

    Args:
        parts: what the index function reads and writes.
        tell: is told how far it is.

    Raises:
        Contended, Unloadable, ClientError, BotoCoreError: some indexes may be as they were; it can be run again.
    """
    wanted: _Wanted = defaultdict(dict)
    scanned = parts.calls(partial(_scanned, parts), range(SEGMENTS))
    for done, entries in enumerate(scanned, 1):
        for uploaded, key, hashed, places in entries:
            for folder in places:
                wanted[folder][key] = uploaded, hashed
        tell(f"{len(wanted[index_folder()]):,} contents found; {done} of {SEGMENTS} parts of the table read")
    differing: _Differing = defaultdict(set)
    newest: dict[str, int] = {}
    incomplete: dict[str, int] = {}
    every, damaged = {*wanted, *parts.files.folders()}, 0
    for done, folder in enumerate(sorted(every), 1):
        damaged += _compare(folder, wanted.get(folder, {}), differing, newest, incomplete, parts)
        tell(f"{done:,} of {len(every):,} indexes compared; {len(differing):,} contents differ")
    for done, keys in enumerate(chunks(sorted(differing, key=lambda key: -newest[key]), AT_A_TIME)):
        tell(f"{done * AT_A_TIME:,} of {len(differing):,} contents listed anew")
        _relist(keys, differing, parts)
    for folder, since in incomplete.items():
        complete(parts.files, folder, since)
    return Rebuilt(len(wanted[index_folder()]), len(every), damaged, len(differing))


def _scanned(parts: Indexing, segment: int) -> list[tuple[int, str, int, Sequence[str]]]:
    """Of the contents to list in a part of the table: upload, key, the entry's hash, and the folders of its indexes."""
    entries = (entry_of(key, document) for key, document in parts.documents.scan(CONTENTS, segment, SEGMENTS))
    return [(one.uploaded, one.key, hash(one), _folders(one)) for one in entries if one]


def _folders(entry: Entry) -> Sequence[str]:
    with suppress(ValueError):  # no file can have the owner's name: it is in the index of all
        return index_folder(), index_folder(entry.owner)
    return (index_folder(),)


def _compare(
    folder: str,
    wanted: dict[str, tuple[int, int]],
    differing: _Differing,
    newest: dict[str, int],
    incomplete: dict[str, int],
    parts: Indexing,
) -> int:
    """Find what differs in an index, after what is lost was taken out of it; how many files that were."""
    missing, damaged = dict(wanted), set[str]()
    for entry in _entries(folder, damaged, incomplete, parts):
        if missing.get(entry.key) == (entry.uploaded, hash(entry)):
            del missing[entry.key]
        else:
            differing[entry.key].add(entry)
            newest[entry.key] = max(entry.uploaded, newest.get(entry.key, 0))
    if damaged:
        return len(damaged) + _compare(folder, wanted, differing, newest, incomplete, parts)
    for key, (uploaded, _) in missing.items():
        differing[key]
        newest[key] = max(uploaded, newest.get(key, 0))
    return len(damaged)


def _entries(folder: str, damaged: set[str], incomplete: dict[str, int], parts: Indexing) -> Iterator[Entry]:
    """The entries of an index, page by page; what is lost is taken out of it, and its name added to `damaged`."""
    try:
        manifest = mended_manifest(parts.files, folder).manifest
    except LostFile:
        damaged.add(folder)
        return
    if manifest.incomplete is not None:
        incomplete[folder] = manifest.incomplete
    last: Page | None = None
    for page in manifest.pages:
        if last and order(last.oldest) >= order(page.newest):
            damaged.add(page.name)
            continue
        try:
            entries = mended_page(parts.files, folder, page)
        except LostFile:
            damaged.add(page.name)
        else:
            yield from entries
            last = page
    if damaged:
        parts.files.drop(folder, damaged)


def _relist(keys: Sequence[str], differing: _Differing, parts: Indexing) -> None:
    documents = parts.documents.read(keys)
    known = [(key, {*differing[key], entry_of(key, documents.get(key))}) for key in keys]
    relist([Listed(key, frozenset(filter(None, entries))) for key, entries in known], parts)
