"""The index under load and under hostile names, with the function's own code, in memory."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.consumers.tidemill_media.contents import document, image, photo, record
from tests.simulation.photos.storage import BUCKET, Storage
from tests.simulation.photos.table import StreamedTable
from tests.simulation.world import World
from tidemill.contract.content_index import MANIFEST, Entry, Manifest, write_manifest, write_page
from tidemill.contract.places import index_folder
from tidemill_media.adapters.documents import Documents
from tidemill_media.adapters.index_files import IndexFiles
from tidemill_media.adapters.old_thumbnails import OldThumbnails
from tidemill_media.index import ROUNDS, Contended, Indexing, index
from tidemill_media.indexing.pages import Change, updated


class Place:
    """A bucket and a table, and as many index functions at once as are begun."""

    def __init__(self) -> None:
        random.seed(0)  # the function's pauses are of the module's own chance
        self.world = World(0, 0.0)
        self.storage, self.table = Storage(self.world), StreamedTable(self.world, 1)
        s3: Any = self.storage
        dynamodb: Any = self.table
        thumbnails = OldThumbnails(s3, BUCKET, map)
        files, clock = IndexFiles(s3, BUCKET), lambda: self.world.now
        self.parts = Indexing(files, Documents(dynamodb, "entities"), thumbnails, map, self.world.sleep, clock)
        self.contended = self.under_way = 0

    def put(self, key: str, **members: Any) -> dict[str, Any]:
        """Put a content into the table; the record of it."""
        new = document(**members)
        self.table.items[key] = image(key, new)
        return record(key, None, new)

    def begin(self, *records: dict[str, Any]) -> None:
        """Begin an index function with a batch, which is delivered again for as long as it fails."""
        self.under_way += 1

        def run() -> None:
            try:
                index({"Records": records}, self.parts)
            except Contended:
                self.contended += 1
                self.world.after(1.0, lambda: self.world.begin(run))
            else:
                self.under_way -= 1

        self.world.begin(run)

    def settle(self) -> None:
        """Go on until all batches are done."""
        assert self.world.run(lambda: not self.under_way, 600.0)

    def listed(self, owner: str | None = None) -> list[Entry]:
        """The entries of an index."""
        found: list[Entry] = []

        def run() -> None:
            folder = index_folder(owner)
            for page in self.parts.files.manifest(folder).manifest.pages:
                found.extend(self.parts.files.page(folder, page.name))
            self.under_way -= 1

        self.under_way += 1
        self.world.begin(run)
        self.settle()
        return found


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.mark.parametrize("rounds", [ROUNDS, 2])
def test_fifty_writers_of_one_owners_index_lose_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """They wait longer each time, so that the rounds suffice; if not, some give up, and their batches come again."""
    monkeypatch.setattr("tidemill_media.index.ROUNDS", rounds)
    for number in range(50):
        place.begin(place.put(f"content/{number}", photo=photo(uploaded=number)))
    place.settle()
    wanted = [f"content/{number}" for number in reversed(range(50))]
    assert [one.key for one in place.listed()] == [one.key for one in place.listed("ada")] == wanted
    assert (place.contended > 0) == (rounds < ROUNDS)


TITLES = [
    "x" * 200,
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{GRINNING FACE}" * 60,
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
    '</script><img src=x onerror="alert(1)">',
    '{"entries": []}',
    "\x00\x1f\x7f\N{LINE SEPARATOR}\r\n",
    "../../manifest.json",
    "\uffff\N{REPLACEMENT CHARACTER}e\N{COMBINING ACUTE ACCENT}",
]


def test_hostile_titles_are_listed_as_they_are(place: Place) -> None:
    records = [
        place.put(f"content/{number}", title=title, photo=photo(uploaded=number)) for number, title in enumerate(TITLES)
    ]
    place.begin(*records)
    place.settle()
    assert [one.title for one in place.listed()] == TITLES[::-1]


OWNERS = [
    "ada",
    "Ada",
    "ADA",
    "a/da",
    "a%2Fda",
    "a da",
    "a+da",
    "..",
    ".",
    "%2E%2E",
    "ådå",
    "a\N{RING ABOVE}",
    "all",
    "by",
]


def test_owners_whose_names_are_alike_have_indexes_of_their_own(place: Place) -> None:
    place.begin(*(place.put(f"content/{number}", owner=owner) for number, owner in enumerate(OWNERS)))
    place.settle()
    for number, owner in enumerate(OWNERS):
        assert [(one.key, one.owner) for one in place.listed(owner)] == [(f"content/{number}", owner)]
    assert len(place.listed()) == len({index_folder(owner) for owner in OWNERS}) == len(OWNERS)


def test_of_an_owner_with_ten_thousand_contents_a_change_writes_one_page(place: Place) -> None:
    every = [Entry(f"content/{number}", "Sea", "ada", number, 640, 480) for number in range(10_000)]
    first = updated(Manifest(), {}, Change(frozenset(), tuple(every)), 0)
    assert first
    for folder in (index_folder(), index_folder("ada")):
        for name, page in first.pages.items():
            place.storage.put(f"{folder}{name}", write_page(page))
        place.storage.put(f"{folder}{MANIFEST}", write_manifest(first.manifest))
    before = place.storage.puts.copy()
    place.begin(place.put("content/5000", title="Lake", photo=photo(uploaded=5_000)))
    place.settle()
    assert len(place.storage.puts - before) == 2 * 2, "of each index a page and the manifest"
    assert place.listed("ada") == place.listed()
    assert [one.title for one in place.listed()].count("Lake") == 1
    assert len(place.listed()) == 10_000
