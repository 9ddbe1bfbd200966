"""The pages of an index after a change: which are read, and what is written in their place.

Room: media application, pure. A page has at most MOST entries. It is split when it has more; with fewer than LEAST it
becomes one with what is beside it, but for the newest, which is filled by what comes next. So a change reads and writes
the pages that its entries stand in, however many pages there are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from tidemill.contract.content_index import GRACE_MS, Entry, Manifest, Page, Position, Replaced, order, page_name

MOST = 256
"""Entries of a page: with six thumbnails each some 300 KB of JSON, which gzip makes a tenth of."""

LEAST = MOST // 4


class Change(NamedTuple):
    """A change of an index: the positions where nothing is to stand, but for these entries."""

    cleared: frozenset[Position]
    entries: tuple[Entry, ...]

    @property
    def positions(self) -> set[Position]:
        """Every position that it is about."""
        return {*self.cleared, *(entry.position for entry in self.entries)}


Pages: TypeAlias = Mapping[int, tuple[Entry, ...]]
"""Entries of pages, by their place in the manifest."""


class Update(NamedTuple):
    """The files by which an index becomes another one.

    Attributes:
        manifest: the manifest that is to replace the other.
        pages: the pages that must have been written before, by their names.
        has_expired: whether pages may be deleted then that were replaced before.
    """

    manifest: Manifest
    pages: Mapping[str, Sequence[Entry]]
    has_expired: bool


def touched(manifest: Manifest, change: Change) -> list[int]:
    """The pages to read for a change, by their places in the manifest."""
    pages = manifest.pages
    if not pages:
        return []
    every = list(change.positions)
    stands = zip(every, _homes(pages, every), strict=True)
    may_go = Counter(place for position, place in stands if order(pages[place].newest) <= order(position))
    counts = [page.count - may_go[place] for place, page in enumerate(pages)]
    wanted = {*may_go, *_homes(pages, [entry.position for entry in change.entries])}
    for place in may_go:
        if place and counts[place] < LEAST:
            wanted.update(_enough(counts, place))
    return sorted(wanted)


def placed(change: Change, pages: Pages) -> Change:
    """The part of a change that lists no content twice.

    The table may have moved a content on since the records of a change were written. If the content stands where these
    records say, it is moved from there. If it does not, it was listed as a later record has it, which is still to come
    or came before, and stands elsewhere: that record's change moves it.

    Args:
        change: what is to be done.
        pages: the entries of the pages that it touches.
    """
    positions = change.positions
    standing = {entry.key for entries in pages.values() for entry in entries if entry.position in positions}
    entries = (one for one in change.entries if one.position in change.cleared or one.key in standing)
    return Change(change.cleared, tuple(entries))


def updated(manifest: Manifest, pages: Pages, change: Change, now: int, grace: int = GRACE_MS) -> Update | None:
    """The index after a change; None if it is so already.

    Args:
        manifest: the manifest.
        pages: the entries of the pages that are `touched`.
        change: what is to be done.
        now: milliseconds since 1970.
        grace: milliseconds for which pages stay that are replaced.
    """
    changed = _changed(manifest, pages, change)
    groups = {group[0]: group for group in _groups(changed)}
    listed: list[Page] = []
    written: dict[str, Sequence[Entry]] = {}
    for place in sorted({*range(len(manifest.pages))} - changed.keys() | groups.keys()):
        group = groups.get(place, [])
        if place in pages and group == [place] and changed[place] == pages[place]:
            group = []
        if not group:
            listed.append(manifest.pages[place])
        for part in _parts([entry for one in group for entry in changed[one]], is_newest=not listed):
            name = page_name(manifest.version + 1, part)
            written[name] = part
            listed.append(Page(name, len(part), part[0].position, part[-1].position))
    if tuple(listed) == manifest.pages:
        return None
    names = {page.name for page in listed}
    kept = [one for one in manifest.replaced if now - one.at < grace]
    dropped = [Replaced(page.name, now) for page in manifest.pages if page.name not in names]
    new = Manifest(manifest.version + 1, tuple(listed), (*kept, *dropped), manifest.incomplete)
    return Update(new, written, len(kept) < len(manifest.replaced))


def is_as_listed(page: Page, entries: Sequence[Entry]) -> bool:
    """Whether entries are those of a page, as far as the manifest tells: how many, the first, the last, their order."""
    places = [order(one.position) for one in entries]
    ends = [order(page.newest), order(page.oldest)]
    return len(entries) == page.count and [*places[:1], *places[-1:]] == ends and places == sorted(set(places))


def _homes(pages: Sequence[Page], positions: Iterable[Position]) -> list[int]:
    """The page of each position: the first that ends there or behind it; the last, if none does."""
    ends = [order(page.oldest) for page in pages]
    return [min(bisect_left(ends, order(position)), len(pages) - 1) for position in positions]


def _enough(counts: Sequence[int], place: int) -> range:
    """A page with those beside it that have LEAST entries together, the older ones first."""
    begin, end = place, place + 1
    while sum(counts[begin:end]) < LEAST and end - begin < len(counts):
        begin, end = (begin, end + 1) if end < len(counts) else (begin - 1, end)
    return range(begin, end)


def _changed(manifest: Manifest, pages: Pages, change: Change) -> dict[int, tuple[Entry, ...]]:
    """The entries of each page that was read, as they are to be; all of them in one if there are no pages yet."""
    positions = change.positions
    changed = {place: [one for one in old if one.position not in positions] for place, old in pages.items()}
    homes = _homes(manifest.pages, [one.position for one in change.entries]) if manifest.pages else []
    for entry, place in zip(change.entries, homes or [0] * len(change.entries), strict=True):
        changed.setdefault(place, []).append(entry)
    return {place: tuple(sorted(every, key=lambda one: order(one.position))) for place, every in changed.items()}


def _groups(changed: Pages) -> list[list[int]]:
    """The pages that become one, and those that stay alone, in order. Pages that are empty now are in none."""
    groups: list[list[int]] = []
    for place in sorted(place for place, entries in changed.items() if entries):
        is_beside = bool(groups) and _is_empty(range(groups[-1][-1] + 1, place), changed)
        if is_beside and (_is_small(groups[-1], changed) or _is_small([place], changed)):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _is_empty(places: range, changed: Pages) -> bool:
    """Whether nothing is left of these pages."""
    return all(changed.get(place) == () for place in places)


def _is_small(group: Sequence[int], changed: Pages) -> bool:
    """Whether it has too few entries for any page but the newest."""
    is_newest = _is_empty(range(group[0]), changed)
    return not is_newest and sum(len(changed[place]) for place in group) < LEAST


def _parts(entries: Sequence[Entry], *, is_newest: bool) -> list[Sequence[Entry]]:
    """The entries as pages: of equal sizes, but at the front of the index full ones and what is left before them."""
    count = -(-len(entries) // MOST)
    if is_newest:
        ends = [len(entries) - MOST * one for one in reversed(range(count))]
    else:
        ends = [len(entries) * one // count for one in range(1, count + 1)]
    return [entries[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
