"""Whether the bucket, the table and the index agree on every photo.

Room: command line. Pure: what was done and what was found come in, findings go out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tidemill.contract.content_index import Entry
    from tidemill.contract.request import Document


class Wanted(NamedTuple):
    """How a content is to be in the end.

    Attributes:
        title: its title.
        owner: who published it.
        original: its photo's name in the bucket.
        size: of its photo, in bytes; None once the photo was deleted.
        change: what the demo did to it after it was uploaded, in words.
    """

    title: str
    owner: str
    original: str
    size: int | None
    change: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The contents of bucket, table and index in the end.

    Attributes:
        documents: by key.
        originals: the photos in the bucket, with their sizes.
        thumbnails: the thumbnails in the bucket.
        indexes: the entries of the index of all contents (None) and of each owner's, newest first.
    """

    documents: Mapping[str, Document]
    originals: Mapping[str, int]
    thumbnails: frozenset[str]
    indexes: Mapping[str | None, Sequence[Entry]]


def disagreements(wanted: Mapping[str, Wanted], found: Found) -> list[str]:
    """The differences, a line each; none if all agree.

    Args:
        wanted: the contents, by key.
        found: what is there.
    """
    named = _named(wanted, found)
    differences = (
        (_documents(wanted, found), "the table", "document does not have", "documents do not have", "the latest photo"),
        (_originals(wanted, found), "the bucket", "photo is not", "photos are not", "there as uploaded"),
        (named - found.thumbnails, "the bucket", "thumbnail is", "thumbnails are", "missing that a document names"),
        (found.thumbnails - named, "the bucket", "thumbnail is", "thumbnails are", "there that no document names"),
        (_indexes(wanted, found), "the index", "content is not", "contents are not", "listed as in the table"),
    )
    return [_line(*one) for one in differences if one[0]]


def is_settled(one: Wanted, document: Document | None) -> bool:
    """Whether a content's document has what was done last."""
    document = document or {}
    photo = document.get("photo", {})
    if (document.get("title"), document.get("owner"), photo.get("by")) != (one.title, one.owner, one.owner):
        return False
    if one.size is None:
        return bool(photo["status"] == "removed")
    return photo["status"] in ("ready", "unsupported") and photo["bytes"] == one.size


def _line(which: Set[str], where: str, one: str, many: str, what: str) -> str:
    first = min(which)
    if len(which) == 1:
        return f"{where}: 1 {one} {what}: {first}"
    return f"{where}: {len(which):,} {many} {what}, such as {first}"


def _documents(wanted: Mapping[str, Wanted], found: Found) -> set[str]:
    return {key for key, one in wanted.items() if not is_settled(one, found.documents.get(key))}


def _originals(wanted: Mapping[str, Wanted], found: Found) -> set[str]:
    kept = {one.original: one.size for one in wanted.values() if one.size is not None}
    return {name for name in kept.keys() | found.originals.keys() if kept.get(name) != found.originals.get(name)}


def _named(wanted: Mapping[str, Wanted], found: Found) -> set[str]:
    photos = [found.documents.get(key, {}).get("photo", {}) for key in wanted]
    return {one["name"] for photo in photos for one in photo.get("thumbnails", ())}


def _indexes(wanted: Mapping[str, Wanted], found: Found) -> set[str]:
    shown = {key: one for key, one in wanted.items() if _is_shown(found.documents.get(key))}
    owners = {one.owner for one in wanted.values()}
    return {
        key
        for owner in (None, *owners)
        for key in _unlike({key for key, one in shown.items() if owner in (None, one.owner)}, owner, found)
    }


def _unlike(shown: set[str], owner: str | None, found: Found) -> Iterator[str]:
    """The contents that one index lists wrongly: not at all, twice, out of order, or not as the document has them."""
    entries = found.indexes.get(owner, ())
    times = Counter(entry.key for entry in entries)
    yield from (key for key in shown | times.keys() if times[key] != (key in shown))
    yield from (entry.key for entry in entries if not _is_like(entry, found.documents.get(entry.key, {})))
    yield from (later.key for earlier, later in pairwise(entries) if earlier.position < later.position)


def _is_like(entry: Entry, document: Document) -> bool:
    photo = document.get("photo", {})
    names = [one["name"] for one in photo.get("thumbnails", ())]
    return (entry.title, [one.name for one in entry.thumbnails]) == (document.get("title"), names)


def _is_shown(document: Document | None) -> bool:
    return bool(document and document.get("photo", {}).get("status") == "ready")
