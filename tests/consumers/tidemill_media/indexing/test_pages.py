"""The pages of an index, against a plain sorted list."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.content_index import GRACE_MS, Entry, Manifest, Position, Replaced, order
from tidemill_media.indexing.pages import LEAST, MOST, Change, Pages, placed, touched, updated


class Index:
    """An index in memory: its manifest and its files, as one writer after another leaves them."""

    def __init__(self) -> None:
        self.manifest = Manifest()
        self.files: dict[str, tuple[Entry, ...]] = {}
        self.now = 0
        self.read: list[int] = []
        self.written: list[str] = []

    def part_of(self, change: Change, pages: Pages) -> Change:
        """The part of a change that is made: here all of it, as no content moves on meanwhile."""
        return change

    def change(self, cleared: Iterable[Position], entries: Iterable[Entry]) -> None:
        change = Change(frozenset(cleared), tuple(entries))
        self.now += 1
        self.read = touched(self.manifest, change)
        pages = {place: self.files[self.manifest.pages[place].name] for place in self.read}
        update = updated(self.manifest, pages, self.part_of(change, pages), self.now)
        self.written = list(update.pages) if update else []
        if update:
            self.files |= {name: tuple(page) for name, page in update.pages.items()}
            self.manifest = update.manifest

    @property
    def entries(self) -> list[Entry]:
        return [entry for page in self.manifest.pages for entry in self.files[page.name]]

    def check(self) -> None:
        pages = self.manifest.pages
        assert [page.count for page in pages] == [len(self.files[page.name]) for page in pages]
        assert all(page.count <= MOST for page in pages)
        assert all(page.count >= LEAST for page in pages[1:]), [page.count for page in pages]
        ends = [order(end) for page in pages for end in (page.newest, page.oldest)]
        assert ends == sorted(ends)


def entry(uploaded: int, number: int = 0, title: str = "Sea") -> Entry:
    return Entry(f"content/{number or uploaded}", title, "ada", uploaded, 640, 480)


def listed(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda one: (-one.uploaded, one.key))


@given(st.integers(0, 2**32), st.integers(1, 25), st.sampled_from([3, 40, 300, 700]))
def test_it_is_what_a_sorted_list_would_be(seed: int, batches: int, most: int) -> None:
    chance = random.Random(seed)
    index, plain = Index(), dict[str, Entry]()
    for _ in range(batches):
        keys = [f"content/{chance.randrange(900)}" for _ in range(chance.randrange(1, most))]
        old = {key: plain.pop(key) for key in keys if key in plain}
        if chance.random() < 0.6:
            plain |= {key: Entry(key, "Sea", "ada", chance.randrange(500), 640, 480) for key in keys}
        new = [plain[key] for key in dict.fromkeys(keys) if key in plain]
        index.change([one.position for one in old.values()], new)
        assert index.entries == listed(plain.values())
        index.check()
        before = index.manifest
        index.change([one.position for one in (*old.values(), *new)], new)
        assert index.manifest is before, "a repeat changes nothing"


class Behind(Index):
    """An index whose records tell of less than the table has."""

    def part_of(self, change: Change, pages: Pages) -> Change:
        return placed(change, pages)


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_a_content_that_changes_faster_than_it_is_listed_is_listed_once(seed: int, count: int) -> None:
    """Of one content: records come in order, some again, while the table has any later state."""
    chance = random.Random(seed)
    states = [entry(number, 7) if number and chance.random() < 0.8 else None for number in range(count)]
    index, handled, table, first = Behind(), 0, 0, 0
    while handled < count - 1 or table < count - 1:
        begin = chance.choice([handled, chance.randint(0, handled)])
        end = min(count - 1, begin + chance.randint(1, 3))
        table = max(table, end, min(count - 1, table + chance.choice([0, 0, 1, 2])))
        known = {one.position for one in states[begin : end + 1] if one}
        now = states[table]
        was_listed = bool(index.entries)
        index.change(known, [now] if known and now else [])
        assert len(index.entries) <= 1, "it is listed twice"
        assert not index.entries or index.entries[0] in states
        if was_listed and not index.entries:
            assert None in states[first : table + 1], "it is gone though it was always shown"
        handled = max(handled, end)
    index.change({one.position for one in states[-2:] if one}, [states[-1]] if states[-1] else [])
    assert index.entries == [one for one in states[-1:] if one]


def test_what_stands_elsewhere_is_left_to_its_later_record() -> None:
    index, one = Behind(), [entry(number, 7) for number in range(6)]
    index.change([one[0].position], [one[0]])
    index.change([one[0].position, one[1].position], [one[3]])
    assert index.entries == [one[3]], "it is moved from where the record says that it stands"
    index.change([one[1].position, one[2].position], [one[4]])
    assert index.entries == [one[3]], "it stands where this record cannot know"
    index.change([one[2].position, one[3].position], [one[4]])
    index.change([one[3].position, one[4].position], [one[4]])
    index.change([one[0].position, one[1].position], [one[5]])
    assert index.entries == [one[4]], "a repeat of an early record"
    index.change([one[4].position, one[5].position], [one[5]])
    assert index.entries == [one[5]]


def test_what_comes_new_fills_pages_one_after_another() -> None:
    index = Index()
    for number in range(1, 1_001):
        index.change([], [entry(number)])
    assert [page.count for page in index.manifest.pages] == [1_000 - 3 * MOST, MOST, MOST, MOST]
    assert index.manifest.version == 1_000


def test_a_title_alone_rewrites_one_page() -> None:
    index = Index()
    index.change([], [entry(number) for number in range(1, 2_001)])
    index.change([entry(700).position], [entry(700, title="Lake")])
    assert len(index.read) == len(index.written) == 1
    assert [one.title for one in index.entries].count("Lake") == 1
    assert len(index.entries) == 2_000


def test_an_index_of_a_hundred_thousand_reads_and_writes_what_is_touched() -> None:
    index = Index()
    index.change([], [entry(number) for number in range(1, 100_001)])
    assert len(index.manifest.pages) == 391
    index.change([entry(5).position], [entry(50_000, title="Lake"), *(entry(100_000 + one) for one in range(1, 21))])
    assert index.read == [0, 195, 390], "the new ones', the changed one's and the deleted one's"
    assert len(index.written) == 3
    assert index.manifest.count == 100_019
    assert len(index.manifest.replaced) == 3


def test_what_is_emptied_is_gone_and_the_index_begins_again() -> None:
    index = Index()
    every = [entry(number) for number in range(1, 600)]
    index.change([], every)
    index.change([one.position for one in every], [])
    assert index.manifest.pages == ()
    assert index.manifest.version == 2, "no two manifests are the same bytes"
    index.change([], every[:1])
    assert index.entries == every[:1]


def test_replaced_pages_are_named_for_an_hour() -> None:
    index = Index()
    index.change([], [entry(1)])
    (first,) = index.manifest.pages
    index.change([], [entry(2)])
    assert index.manifest.replaced == (Replaced(first.name, 2),)
    (second,) = index.manifest.pages
    change = Change(frozenset(), (entry(3),))
    at_last = updated(index.manifest, {0: index.files[second.name]}, change, 1 + GRACE_MS)
    assert at_last is not None
    assert [one.name for one in at_last.manifest.replaced] == [first.name, second.name]
    assert not at_last.has_expired
    later = updated(index.manifest, {0: index.files[second.name]}, change, 2 + GRACE_MS)
    assert later is not None
    assert [one.name for one in later.manifest.replaced] == [second.name]
    assert later.has_expired


@pytest.mark.parametrize("first", [3, MOST])
def test_a_small_page_becomes_one_with_the_next(first: int) -> None:
    index = Index()
    index.change([], [entry(number) for number in range(1, 2 * MOST + first + 1)])
    index.change([entry(number).position for number in range(MOST + 1, 2 * MOST)], [])
    assert [page.count for page in index.manifest.pages] == [first, 128, 129]
