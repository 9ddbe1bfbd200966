from collections.abc import Callable
from dataclasses import replace

import pytest

from tidemill.contract.content_index import Entry, Shown
from tidemill.contract.request import Document
from tidemill_cli.commands.demo.photos.agreement import Found, Wanted, disagreements

WANTED = {
    "content/a": Wanted("A", "ann", "photos/ann/content/a", 10),
    "content/b": Wanted("B", "ben", "photos/ben/content/b", 20),
    "content/c": Wanted("C", "ann", "photos/ann/content/c", None),
    "content/d": Wanted("D", "ann", "photos/ann/content/d", 5),
}


def document(title: str, owner: str, size: int) -> Document:
    thumbnail = {"size": 8, "width": 8, "height": 6, "type": "image/webp", "name": f"thumbnails/{title}", "bytes": 3}
    photo = {"by": owner, "status": "ready", "bytes": size, "thumbnails": [thumbnail]}
    return {"title": title, "owner": owner, "photo": photo}


def entry(title: str, owner: str, uploaded: int) -> Entry:
    shown = Shown(8, 8, 6, "image/webp", f"thumbnails/{title}", 3)
    return Entry(f"content/{title.lower()}", title, owner, uploaded, 8, 6, (shown,))


A, B = entry("A", "ann", 1), entry("B", "ben", 2)

FOUND = Found(
    documents={
        "content/a": document("A", "ann", 10),
        "content/b": document("B", "ben", 20),
        "content/c": {"title": "C", "owner": "ann", "photo": {"by": "ann", "status": "removed"}},
        "content/d": {"title": "D", "owner": "ann", "photo": {"by": "ann", "status": "unsupported", "bytes": 5}},
    },
    originals={"photos/ann/content/a": 10, "photos/ben/content/b": 20, "photos/ann/content/d": 5},
    thumbnails=frozenset({"thumbnails/A", "thumbnails/B"}),
    indexes={None: [B, A], "ann": [A], "ben": [B]},
)


def test_what_was_uploaded_replaced_and_deleted_agrees_everywhere() -> None:
    assert disagreements(WANTED, FOUND) == []


def with_document(key: str, document: Document) -> Callable[[Found], Found]:
    return lambda found: replace(found, documents={**found.documents, key: document})


def with_index(owner: str | None = None, *entries: Entry) -> Callable[[Found], Found]:
    return lambda found: replace(found, indexes={**found.indexes, owner: entries})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_document("content/a", {}), "the table: 1 document does not have the latest photo: content/a"),
        (
            with_document("content/b", document("B", "ben", 19)),
            "the table: 1 document does not have the latest photo: content/b",
        ),
        (with_document("content/c", document("C", "ann", 7)), "the latest photo: content/c"),
        (
            lambda found: replace(found, originals={}),
            "the bucket: 3 photos are not there as uploaded, such as photos/ann/content/a",
        ),
        (
            lambda found: replace(found, originals={**found.originals, "photos/ann/content/c": 1}),
            "the bucket: 1 photo is not there as uploaded: photos/ann/content/c",
        ),
        (
            lambda found: replace(found, thumbnails=frozenset({"thumbnails/A"})),
            "the bucket: 1 thumbnail is missing that a document names: thumbnails/B",
        ),
        (
            lambda found: replace(found, thumbnails=found.thumbnails | {"thumbnails/C"}),
            "the bucket: 1 thumbnail is there that no document names: thumbnails/C",
        ),
        (with_index(), "the index: 2 contents are not listed as in the table, such as content/a"),
        (with_index(None, A), "listed as in the table: content/b"),
        (with_index("ben"), "listed as in the table: content/b"),
        (with_index(None, B, A, A), "listed as in the table: content/a"),
        (with_index(None, A, B), "listed as in the table: content/b"),
        (with_index("ann", entry("Old title", "ann", 1)), "the index: 2 contents are not listed as in the table"),
        (with_index("ann", A, B), "the index: 1 content is not listed as in the table: content/b"),
    ],
)
def test_each_disagreement_is_found(change: Callable[[Found], Found], said: str) -> None:
    assert any(said in line for line in disagreements(WANTED, change(FOUND)))
