"""Which thumbnails nobody needs any more."""

from typing import Any

import pytest

from tests.consumers.tidemill_media.contents import document, photo
from tidemill.contract.places import Photo
from tidemill_media.indexing.changes import Content
from tidemill_media.indexing.outdated import Outdated, outdated

ONE, TWO = ("1" * 32, "2" * 32)
MINE, OTHERS = Photo("ada", "content/1"), Photo("bob", "content/1")


def at(version: str, **other: Any) -> dict[str, Any]:
    return photo(version=version, **other)


def gone(version: str, **other: Any) -> dict[str, Any]:
    return {"by": "ada", "version": version, "status": "removed", **other}


@pytest.mark.parametrize(
    ("documents", "found"),
    [
        # A new title: nothing is older. A first photo: what it replaced in the same batch may be.
        ([document(), document(title="Lake")], []),
        ([{}, document(photo=at(ONE))], [Outdated(MINE, ONE, False)]),
        # Replaced: what was before; late: once more; removed, deleted: that version too.
        ([document(photo=at(ONE)), document(photo=at(TWO))], [Outdated(MINE, TWO, False)]),
        ([document(photo=at(TWO)), document(photo=at(TWO, late=1))], [Outdated(MINE, TWO, False)]),
        ([document(photo=at(ONE)), document(photo=gone(TWO))], [Outdated(MINE, TWO, True)]),
        ([document(photo=at(ONE)), {"deleted": True, "photo": gone(ONE)}], [Outdated(MINE, ONE, True)]),
        ([document(photo=at(ONE)), {"deleted": True}], [Outdated(MINE, ONE, True)]),
        ([{"deleted": True, "photo": gone(ONE)}, {"photo": gone(TWO, late=1)}], [Outdated(MINE, TWO, True)]),
        ([{}, document(photo=at(ONE)), {"deleted": True}], [Outdated(MINE, ONE, True)]),
        (
            [document(), {"deleted": True, "photo": gone(TWO), "uploads": {"ada": gone(ONE, late=1)}}],
            [Outdated(MINE, TWO, True)],
        ),
        # Uploaded and published: it is the same photo; another's is not needed then.
        ([{}, {"uploads": {"ada": at(ONE)}}], [Outdated(MINE, ONE, False)]),
        ([{"uploads": {"ada": at(ONE)}}, document(photo=at(ONE))], []),
        (
            [{"uploads": {"ada": at(ONE), "bob": at(TWO, by="bob")}}, document(photo=at(ONE))],
            [Outdated(OTHERS, TWO, True)],
        ),
        # Another application's documents.
        ([{"photo": "sea.jpeg"}, {"photo": "lake.jpeg", "uploads": 7}], []),
    ],
)
def test_what_is_not_needed(documents: list[dict[str, Any]], found: list[Outdated]) -> None:
    assert list(outdated(Content("content/1", tuple(documents)))) == found


def test_versions() -> None:
    assert [Outdated(MINE, TWO, False).holds(one) for one in (ONE, TWO)] == [True, False]
    assert [Outdated(MINE, TWO, True).holds(one) for one in (ONE, TWO, "3" * 32)] == [True, True, False]
