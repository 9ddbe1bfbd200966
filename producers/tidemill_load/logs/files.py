"""The files of a log, and their lines in blocks: plain or gzipped, one or several, or all of a folder.

Room: load, logs. The one file here that reads files.
Tests: tests/producers/tidemill_load/logs/test_read.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

BLOCK = 512 * 1024
"""Bytes that are read at a time, or unpacked."""

PACKED_BLOCK = 64 * 1024
"""Bytes of a gzipped file that are read at a time; so many are lost at most before a damaged place."""

MAX_LINE_BYTES = 16 * 1024
"""A longer line is unreadable; servers cap the request line at half of it."""

_GZIP, _GZIP_BITS = b"\x1f\x8b", 31
_PACKED = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "zip",
    b"PAR1": "Parquet",
}


class TraceError(Exception):
    """A file that is no access log; says what is wrong with it in one sentence."""


class Damaged(Exception):
    """A file cannot be read to its end; says why."""


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files that are meant: a folder stands for all in it, by name, but for hidden ones.

    Raises:
        TraceError: a folder has none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = [one for one in sorted(path.rglob("*")) if one.is_file() and not _hidden(one.relative_to(path))]
        if not inside:
            raise TraceError(f"there is no file in the folder {path}")
        found |= dict.fromkeys(inside)
    return list(found)


def blocks(path: Path) -> Iterator[bytes]:
    """Whole lines, many at a time. Of a line that is too long its beginning is given.

    Raises:
        TraceError: there is no such file, or it cannot be read.
        Damaged: what follows cannot be unpacked.
    """
    try:
        with path.open("rb") as file:
            yield from _whole_lines(_opened(file, path))
    except zlib.error as error:
        raise Damaged(f"the gzip stream is damaged from here on ({error})") from None
    except FileNotFoundError:
        raise TraceError(f"there is no file {path}") from None
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from None


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _opened(file: IO[bytes], path: Path) -> Iterator[bytes]:
    head = file.read(6)
    file.seek(0)
    packed = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
    if packed:
        raise TraceError(f"{path} is packed by {packed}; unpack it, or pack it by gzip")
    return _unpacked(file) if head.startswith(_GZIP) else iter(lambda: file.read(BLOCK), b"")


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    """The members of a gzip file, in turn. gzip.GzipFile takes longer, and loses more at a damaged place."""
    unpack = zlib.decompressobj(_GZIP_BITS)
    begun = False
    while packed := file.read(PACKED_BLOCK):
        while packed:
            begun = True
            if more := unpack.decompress(packed, BLOCK):
                yield more
            packed = unpack.unconsumed_tail
            if unpack.eof:
                packed, begun, unpack = unpack.unused_data.lstrip(b"\0"), False, zlib.decompressobj(_GZIP_BITS)
    if begun:
        yield unpack.flush()
        raise Damaged("the gzip stream is damaged from here on: it ends early")


def _whole_lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for more in parts:
        end = more.rfind(b"\n") + 1
        if end:
            yield _shortened(rest) + more[:end]
            rest = more[end:]
        else:
            rest = _shortened(rest) + more
    if rest:
        yield _shortened(rest) + b"\n"


def _shortened(rest: bytes) -> bytes:
    """The beginning of a line that fills blocks, so that it takes no more memory than others."""
    return rest if len(rest) <= MAX_LINE_BYTES else rest[:MAX_LINE_BYTES]
