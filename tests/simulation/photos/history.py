"""What readers could have seen of the indexes at any time, by every manifest that was ever written.

The bucket keeps all versions, and the table all its changes. So it is known what each manifest listed, and of each
content what could be listed of it, one after another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tests.simulation.photos.functions import Functions
from tests.simulation.photos.storage import Version
from tidemill.contract.content_index import MANIFEST, Entry, read_manifest, read_page
from tidemill.contract.places import INDEX
from tidemill.contract.request import Document
from tidemill_consumers.codec.items import from_item

SLOWEST = 30.0
"""Seconds that a manifest may take from when it is decided on, which the grace of pages is of, until it is written."""


class Listed(NamedTuple):
    """An entry as far as it is compared."""

    uploaded: int
    key: str
    title: str
    owner: str
    width: int
    thumbnails: tuple[str, ...]


def listed(key: str, document: Document) -> Listed | None:
    """What an index is to list of a document: what is published and has a photo to show."""
    photo = document.get("photo") or {}
    if "title" not in document or photo.get("status") != "ready":
        return None
    names = tuple(one["name"] for one in photo["thumbnails"])
    return Listed(photo["uploaded"], key, document["title"], document["owner"], photo["width"], names)


def listed_as(entry: Entry) -> Listed:
    """An entry of an index, as far as it is compared."""
    names = tuple(one.name for one in entry.thumbnails)
    return Listed(entry.uploaded, entry.key, entry.title, entry.owner, entry.width, names)


def wrong_histories(functions: Functions) -> Iterator[str]:
    """What some reader could have seen that must not be: a content twice, not at all, or as it had been before."""
    states = _states(functions)
    versions = functions.storage.versions
    for name in sorted(one for one in versions if one.startswith(INDEX) and one.endswith(MANIFEST)):
        folder = name.removesuffix(MANIFEST)
        written = [one for one in versions[name] if one.body is not None]
        yield from _wrong_pages(folder, written, versions, functions.grace / 1000 - SLOWEST)
        yield from _wrong_snapshots(folder, written, versions, states)


def _states(functions: Functions) -> dict[str, list[tuple[float, Listed | None]]]:
    """By key: since when what could be listed of it."""
    states: dict[str, list[tuple[float, Listed | None]]] = defaultdict(lambda: [(0.0, None)])
    for at, item in functions.table.history:
        key = item["pk"]["S"]
        now = listed(key, from_item(item).document or {})
        if now != states[key][-1][1]:
            states[key].append((at, now))
    return states


def _wrong_pages(
    folder: str, written: Sequence[Version], versions: dict[str, list[Version]], stay: float
) -> Iterator[str]:
    """Pages that whoever had read a manifest did not find, within the time for which they are to be there."""
    listed_first: dict[str, Version] = {}
    listed_until: dict[str, float] = {}
    ends = [one.modified.timestamp() for one in written[1:]]
    for manifest, end in zip(written, [*ends, float("inf")], strict=True):
        for page in read_manifest(manifest.body or b"").pages:
            listed_until[page.name] = max(end, listed_until.get(page.name, 0.0))
            listed_first.setdefault(page.name, manifest)
    for name, first in listed_first.items():
        of_page = versions.get(folder + name, [])
        if not of_page or of_page[0].number > first.number:
            yield f"{folder}{name} was listed before it was there"
        gone = [one for one in of_page if one.body is None]
        if gone and gone[0].modified.timestamp() < listed_until[name] + stay:
            yield f"{folder}{name} was deleted too early"


def _wrong_snapshots(
    folder: str,
    written: Sequence[Version],
    versions: dict[str, list[Version]],
    states: dict[str, list[tuple[float, Listed | None]]],
) -> Iterator[str]:
    owner = None if folder == f"{INDEX}all/" else folder.split("/")[2]
    known: dict[str, Sequence[Listed]] = {}
    reached: dict[str, int] = dict.fromkeys(states, 0)
    for manifest in written:
        found: list[Listed] = []
        for page in read_manifest(manifest.body or b"").pages:
            if page.name not in known and (of_page := versions.get(folder + page.name)):
                known[page.name] = [listed_as(entry) for entry in read_page(of_page[0].body or b"")]
            found += known.get(page.name, ())
        entries = {one.key: one for one in found}
        if len(entries) < len(found):
            yield f"{folder}, {manifest.number:x}: a content is listed twice"
        if [(-one.uploaded, one.key) for one in found] != sorted((-one.uploaded, one.key) for one in found):
            yield f"{folder}, {manifest.number:x}: out of order"
        for key, of_key in states.items():
            mine = [(at, one if one and owner in (None, one.owner) else None) for at, one in of_key]
            place = next((n for n in range(reached[key], len(mine)) if mine[n][1] == entries.get(key)), None)
            if place is None or mine[place][0] > manifest.modified.timestamp() + 1.0:
                yield f"{folder}, {manifest.number:x}: {key} is not what it was since"
                reached[key] = 0
            else:
                reached[key] = place
