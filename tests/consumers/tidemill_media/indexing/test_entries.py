"""What of a document is listed in the index."""

from typing import Any

import pytest

from tests.consumers.tidemill_media.contents import THUMBNAIL, document, photo
from tidemill.contract.content_index import Entry, Shown
from tidemill_media.indexing.entries import entry_of


def test_a_published_content_with_a_photo_is_listed_without_its_counts() -> None:
    entry = entry_of("content/1", document(title="Sea", views=7, photo=photo(taken="2024-05-01T12:00:00")))
    thumbnails = (Shown(**THUMBNAIL),)
    assert entry == Entry("content/1", "Sea", "ada", 1_000, 640, 480, thumbnails, "2024-05-01T12:00:00")
    assert entry == entry_of("content/1", document(title="Sea", views=8, photo=photo(taken="2024-05-01T12:00:00")))


@pytest.mark.parametrize(
    "other",
    [
        None,
        {},
        {"deleted": True},
        document(photo=photo(status="unsupported", reason="a video")),
        document(photo=photo(status="removed")),
        document(photo=photo(uploaded="yesterday")),
        document(deleted=True),
        document(title=7),
        {name: value for name, value in document().items() if name != "owner"},
        {name: value for name, value in document().items() if name != "title"},
        {name: value for name, value in document().items() if name != "photo"},
    ],
)
def test_what_is_not_published_or_has_nothing_to_show_is_not(other: dict[str, Any] | None) -> None:
    assert entry_of("content/1", document()) is not None
    assert entry_of("content/1", other) is None
