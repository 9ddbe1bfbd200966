"""The files of an index: what is written is read again, and what is no such file is refused."""

import gzip
import json

import pytest

from tidemill.contract.content_index import (
    Entry,
    Manifest,
    Page,
    Position,
    Replaced,
    Shown,
    UnreadableIndex,
    order,
    page_name,
    read_manifest,
    read_page,
    version_in,
    write_manifest,
    write_page,
)

SEA = Entry("content/1", "Sea", "ada", 1_000, 640, 480, (Shown(512, 512, 384, "image/webp", "thumbnails/t", 9),))
LAKE = Entry("content/2", "Lake", "bob", 900, 64, 48, taken="2024-05-01T12:00:00")
MANIFEST = Manifest(7, (Page("3-ab.json", 2, SEA.position, LAKE.position),), (Replaced("2-cd.json", 5),))


def test_a_page_is_json_that_any_client_reads() -> None:
    written = json.loads(gzip.decompress(write_page([SEA, LAKE])))
    assert [one["title"] for one in written["entries"]] == ["Sea", "Lake"]
    assert written["entries"][0]["thumbnails"][0]["name"] == "thumbnails/t"
    assert "taken" not in written["entries"][0]
    assert read_page(write_page([SEA, LAKE])) == (SEA, LAKE)
    assert read_page(json.dumps(written).encode()) == (SEA, LAKE), "unpacked on its way"


def test_a_manifest_is_json_that_any_client_reads() -> None:
    written = json.loads(gzip.decompress(write_manifest(MANIFEST)))
    (page,) = written["pages"]
    assert page == {"name": "3-ab.json", "count": 2, "newest": [1000, "content/1"], "oldest": [900, "content/2"]}
    assert read_manifest(write_manifest(MANIFEST)) == MANIFEST
    assert MANIFEST.count == 2


@pytest.mark.parametrize("file", [b"", b"{", b"[]", b'{"entries": [{}]}', b"\x1f\x8b\x08", write_page([SEA])[:-9]])
def test_what_is_no_page_is_refused(file: bytes) -> None:
    with pytest.raises(UnreadableIndex, match="no entries of an index"):
        read_page(file)


def test_what_is_no_manifest_is_refused() -> None:
    with pytest.raises(UnreadableIndex, match="no manifest of an index"):
        read_manifest(b'{"pages": 7}')


def test_a_pages_name_says_its_version_and_what_is_in_it() -> None:
    name = page_name(12, [SEA])
    assert version_in(name) == 12
    assert name == page_name(12, [SEA])
    assert len({name, page_name(13, [SEA]), page_name(12, [LAKE])}) == 3
    assert version_in("manifest.json") is None
    assert version_in("x-1.json") is None


def test_the_newest_comes_first() -> None:
    positions = [Position(1, "b"), Position(2, "c"), Position(1, "a")]
    assert sorted(positions, key=order) == [Position(2, "c"), Position(1, "a"), Position(1, "b")]
