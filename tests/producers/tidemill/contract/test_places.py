from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.places import (
    CACHED,
    Photo,
    index_folder,
    object_name,
    object_names,
    photo_name,
    photo_of,
    photo_version,
    thumbnail_name,
    thumbnails_prefix,
    upload_name,
)

IDENTITY = "us-east-1:2f9b760d-0000-4000-8000-000000000000"

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def test_names() -> None:
    photo = Photo(IDENTITY, "content/42")
    assert object_name("ab12") == "objects/ab12"
    assert upload_name(IDENTITY, "ab12") == f"uploads/{IDENTITY}/ab12"
    assert photo_name(*photo) == f"photos/{IDENTITY}/content/42"
    assert thumbnail_name(photo, "0a", 512, "webp") == f"thumbnails/{IDENTITY}/content/42/v=0a/512.webp"
    assert thumbnail_name(photo, "0a", 64, "jpeg", CACHED) == f"cached/{IDENTITY}/content/42/v=0a/64.jpeg"


@given(texts, texts)
def test_a_photo_is_known_by_its_name(identity: str, key: str) -> None:
    try:
        name = photo_name(identity, key)
    except ValueError:
        return
    assert photo_of(name) == (identity, key)
    assert len(name.encode()) <= 800


@given(texts, texts, texts)
def test_an_identity_cannot_name_anothers_photo(identity: str, key: str, other: str) -> None:
    if other != identity:
        assert not upload_name(identity, "ab").startswith(upload_name(other, ""))


def test_no_part_of_a_name_goes_up() -> None:
    assert upload_name("..", "ab12") == "uploads/%2E%2E/ab12"
    assert photo_name(".", "../../.../a.b/") == "photos/%2E/%2E%2E/%2E%2E/.../a.b/"


@pytest.mark.parametrize(
    "name",
    [
        "photos/a/../b",
        "photos/",
        "photos/a",
        "photos//b",
        "photos/a/%62",
        "photos/a/b c",
        "other/a/b",
        "photos/a/" + 800 * "b",
    ],
)
def test_other_objects_are_no_photos(name: str) -> None:
    assert photo_of(name) is None


@pytest.mark.parametrize("photo", [Photo("a", 257 * "b"), Photo(257 * "a", "b")])
def test_what_fits_no_request_names_no_photo(photo: Photo) -> None:
    """Else it would be uploaded, and nothing would ever come of it."""
    with pytest.raises(ValueError, match="257 characters; 256 fit a request"):
        photo_name(*photo)
    assert photo_of(f"photos/{photo.identity}/{photo.key}") is None


@pytest.mark.parametrize(
    ("photo", "what"), [(("a", 5), "key of a photo is int"), ((b"a", "b"), "identity .* is bytes")]
)
def test_what_is_no_text_names_no_photo(photo: tuple[Any, Any], what: str) -> None:
    with pytest.raises(ValueError, match=f"the {what}, and must be text"):
        photo_name(*photo)


def test_a_key_that_begins_like_another_has_thumbnails_of_its_own() -> None:
    for longer in ("content/42", "content/4/", "content/4/v=", "content/4//x"):
        assert not thumbnails_prefix(Photo("a", longer)).startswith(thumbnails_prefix(Photo("a", "content/4")))


def test_names_of_objects_are_found_wherever_they_stand_in_json() -> None:
    first, second = object_name("0a" * 32), object_name("1b" * 32)
    encoded = f'{{"a":["{first}"],"see {second}!":"{object_name("2c" * 31)}","b":"{object_name("0A" * 32)}"}}'
    assert object_names(encoded.encode()) == {first, second}


def test_versions_sort_as_s3_says() -> None:
    assert photo_version("55") == photo_version("5500")
    assert photo_version("0055AED6DCD90281E5") < photo_version("0055aed6dcd90281e6") < photo_version("0056")
    for wrong in ("", "xyz", 33 * "0", "0x12"):
        with pytest.raises(ValueError, match="no sequencer"):
            photo_version(wrong)


def test_an_index_has_a_folder_of_one_level() -> None:
    assert index_folder() == "index/all/"
    assert index_folder("us-east-1:0ab") == "index/by/us-east-1:0ab/"
    assert index_folder("a/../b") == "index/by/a%2F..%2Fb/"
    assert index_folder("..") == "index/by/%2E%2E/"
    for owner in ("", "ö" * 200):
        with pytest.raises(ValueError, match="an index's owner takes"):
            index_folder(owner)
