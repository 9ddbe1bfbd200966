"""Files that fit are opened and watched; others are refused with what they are, and nobody waits for a pipe."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.producers.tidemill.content.photos import photo
from tidemill import UnfitFile
from tidemill.content.photo_source import PhotoSource
from tidemill.contract.photo_files import JPEG, MAX_PHOTO_BYTES, PNG


@pytest.mark.parametrize(
    ("data", "field", "problem"),
    [
        (b"", "type", "it is an empty file"),
        (b"8BPS\0\x01", "type", "it is a Photoshop document.*use JPEG, PNG, GIF, WebP, BMP, HEIC or AVIF"),
        (b"\0\0\0\x14ftypqt  ", "type", "it is a video"),
        (b"<!DOCTYPE html>", "type", "it is an HTML page"),
        (b"<svg>", "type", "it is an SVG"),
        (photo(MAX_PHOTO_BYTES + 1), "size", "it has 52428801 bytes, and thumbnails are made of 50 MiB at most"),
    ],
    ids=["empty", "PSD", "MOV", "HTML", "SVG", "large"],
)
@pytest.mark.parametrize("is_file", [True, False], ids=["file", "bytes"])
def test_what_no_thumbnails_are_made_of_is_refused(
    tmp_path: Path, data: bytes, field: str, problem: str, is_file: bool
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(UnfitFile, match=f"^{problem}") as refused:
        PhotoSource(path if is_file else data)
    assert refused.value.field == field


def pipe(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def device(path: Path) -> None:
    path.symlink_to(os.devnull)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX's kinds of files")
@pytest.mark.parametrize(
    ("make", "what"), [(pipe, "a pipe"), (directory, "a directory"), (bound, "a socket"), (device, "a device")]
)
def test_what_is_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], what: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    make(Path("photo.jpg"))
    with pytest.raises(UnfitFile, match=f"^photo.jpg is {what}"):
        PhotoSource("photo.jpg")


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PhotoSource(tmp_path / "photo.jpg")


def test_the_type_may_be_asked_for() -> None:
    assert PhotoSource(photo(100), "image/jpeg").type is JPEG
    with pytest.raises(UnfitFile, match=r"^it is image/jpeg, and not 'image/png'"):
        PhotoSource(photo(100), PNG.content_type)


def test_a_link_to_a_file_is_one_and_pieces_are_read(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(photo(1000))
    (tmp_path / "link").symlink_to(tmp_path / "photo")
    for source in (PhotoSource(str(tmp_path / "link")), PhotoSource(memoryview(photo(1000)))):
        assert (source.size, source.type) == (1000, JPEG)
        assert source.read(900, 500) == photo(1000)[900:]
        assert source.read(10, 5) == photo(1000)[10:15]
        source.close()


@pytest.mark.parametrize("size", [0, 500, 1001])
def test_a_file_that_changes_is_noticed(tmp_path: Path, size: int) -> None:
    path = tmp_path / "photo"
    path.write_bytes(photo(1000))
    source = PhotoSource(path)
    os.truncate(path, size)
    with pytest.raises(UnfitFile, match=f"^{path} changed while it was read"):
        source.read(0, 1000)
    source.close()


def test_a_file_that_is_written_in_place_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(photo(1000))
    os.utime(path, ns=(0, 0))
    source = PhotoSource(path)
    path.write_bytes(photo(1000, other=1))
    with pytest.raises(UnfitFile, match="changed"):
        source.read(0, 1000)
    source.close()
