"""Which thumbnail a path asks for, and what a document has for it."""

from __future__ import annotations

import pytest

from tests.consumers.tidemill_media.contents import document, photo
from tidemill_media.processing.asked import Asked, cached_name, made_before, read, ready

ASKED = Asked("content/a b", 512, "webp")
VERSION = "1".ljust(32, "0")


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/thumbnails/content/42/512.webp", Asked("content/42", 512, "webp")),
        ("/thumbnails/content%2F42/64.jpeg", Asked("content/42", 64, "jpeg")),
        ("/thumbnails/content/a/b/c/64.jpeg", Asked("content/a/b/c", 64, "jpeg")),
        ("/thumbnails/content/a b/512.webp", ASKED),
        ("/thumbnails/content/a%20b/512.webp", ASKED),
        ("/thumbnails/content/50%25/512.webp", Asked("content/50%", 512, "webp")),
        ("/thumbnails/content/%2520/512.webp", Asked("content/%20", 512, "webp")),
        ("/thumbnails/content/ü/512.webp", Asked("content/ü", 512, "webp")),
        ("/thumbnails/content/1.webp/2.webp", Asked("content/1.webp", 2, "webp")),
        ("/thumbnails/content/" + "k" * 248 + "/512.webp", Asked("content/" + "k" * 248, 512, "webp")),
    ],
)
def test_a_path_has_a_key_a_size_and_a_type(path: str, asked: Asked) -> None:
    assert read(path) == asked


@pytest.mark.parametrize(
    "path",
    [
        "/thumbnails/user/42/512.webp",
        "/thumbnails/content//512.webp/",
        "/thumbnails/content/512.webp",
        "/thumbnails/content/42/512.png",
        "/thumbnails/content/42/0512.webp",
        "/thumbnails/content/42/99999.webp",
        "/thumbnails/content/42/-1.webp",
        "/thumbnails/content/42",
        "/else/content/42/512.webp",
        "/thumbnails/content/" + "k" * 249 + "/512.webp",
    ],
)
def test_another_path_asks_for_nothing(path: str) -> None:
    assert read(path) is None


def test_a_photo_is_shown_of_what_is_published_alone() -> None:
    shown = ready(document(photo=photo(object="v1")))
    assert shown is not None
    assert (shown.by, shown.version, shown.object) == ("ada", VERSION, "v1")
    assert ready(None) is None
    assert ready({"uploads": {"ada": photo()}}) is None, "it waits until it is published"
    assert ready({"photo": photo()}) is None
    assert ready(document(deleted=True)) is None
    assert ready({"title": "Sea", "owner": "ada"}) is None
    for status in ("unsupported", "removed"):
        assert ready(document(photo=photo(status=status))) is None


def test_what_was_made_when_the_photo_came_is_known_by_size_and_type() -> None:
    shown = ready(document())
    assert shown is not None
    assert made_before(ASKED, shown) == "thumbnails/t"
    assert made_before(ASKED._replace(extension="jpeg"), shown) is None
    assert made_before(ASKED._replace(size=256), shown) is None


def test_what_is_made_is_named_by_the_photo_and_its_version() -> None:
    shown = ready(document())
    assert shown is not None
    assert cached_name(ASKED, shown) == f"cached/ada/content/a%20b/v={VERSION}/512.webp"
