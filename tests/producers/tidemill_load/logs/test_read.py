"""Several files and folders are one log in the order of time."""

from __future__ import annotations

import gzip
import random
from itertools import pairwise
from pathlib import Path

import pytest

from tidemill_load.logs import Log, TraceError, lines_of, read_log
from tidemill_load.logs.files import BLOCK


def line(second: int, name: str) -> str:
    minutes, seconds = divmod(second, 60)
    return f'h - - [01/Aug/1995:00:{minutes:02}:{seconds:02} +0000] "GET /{name} HTTP/1.0" 200 1\n'


def keys(log: Log) -> list[str]:
    return [key.decode() for columns in log for key in columns.keys]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_files_that_overlap_are_merged_by_time(tmp_path: Path) -> None:
    first = write(tmp_path / "node-a.log.gz", line(1, "a1") + line(5, "a5") + line(9, "a9"))
    second = write(tmp_path / "node-b.log", line(0, "b0") + line(5, "b5") + line(6, "b6"))
    third = write(tmp_path / "later.log", line(20, "c"))
    assert keys(read_log([third, first, second])) == ["/b0", "/a1", "/b5", "/a5", "/b6", "/a9", "/c"]


def test_large_files_of_several_nodes_come_out_in_order_and_whole(tmp_path: Path) -> None:
    random_ = random.Random(1)
    padding = "x" * 60
    for node in range(3):
        seconds = sorted(random_.randrange(3600) for _ in range(12_000))
        write(tmp_path / f"{node}.log", "".join(line(second, f"{node}/{padding}/{second}") for second in seconds))
    assert (tmp_path / "0.log").stat().st_size > 2 * BLOCK
    log = read_log([tmp_path])
    found = [(time, key) for columns in log for time, key in zip(columns.times.tolist(), columns.keys, strict=True)]
    assert len(found) == log.requests == 36_000
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(found))
    for node in range(3):
        mine = [int(key.rsplit(b"/", 1)[1]) for _, key in found if key.startswith(b"/%d/" % node)]
        assert mine == sorted(mine)
        assert len(mine) == 12_000


def test_a_folder_is_all_its_files_but_for_hidden_ones_and_those_without_requests(tmp_path: Path) -> None:
    write(tmp_path / "AWSLogs/ELBAccessLogTestFile", "Enable AccessLog for ELB: x at 2026-01-01T00:00:00Z\n")
    write(tmp_path / "AWSLogs/.DS_Store", line(0, "hidden"))
    write(tmp_path / "AWSLogs/2026/01/b.log", line(1, "b"))
    write(tmp_path / "AWSLogs/2026/02/a.log.gz", line(0, "a"))
    log = read_log([tmp_path])
    assert keys(log) == ["/a", "/b"]
    assert [path.name for path in log.without] == ["ELBAccessLogTestFile"]
    assert log.unreadable == 0


def test_a_file_that_is_named_must_hold_a_request(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.log", line(0, "a")), write(tmp_path / "bad.log", "nothing\n")
    with pytest.raises(TraceError, match=r"bad\.log holds no request in .*: line 1: no format fits"):
        read_log([good, bad])
    bad.unlink()
    with pytest.raises(TraceError, match=r"there is no file .*bad\.log"):
        read_log([good, bad])


def test_files_of_different_formats_are_one_log(tmp_path: Path) -> None:
    write(tmp_path / "a.log", line(0, "a"))
    write(tmp_path / "b.log", "#Fields: date time cs-uri-stem\n1995-08-01 00:00:01 /b\n")
    log = read_log([tmp_path])
    assert keys(log) == ["/a", "/b"]
    assert list(log.formats) == ["Common or Combined Log Format", "W3C extended log format"]


@pytest.mark.parametrize(
    ("magic", "name"), [(b"BZh9", "bzip2"), (b"\x28\xb5\x2f\xfd", "Zstandard"), (b"PK\x03\x04", "zip")]
)
def test_another_packing_is_named(tmp_path: Path, magic: bytes, name: str) -> None:
    (tmp_path / "a").write_bytes(magic + b"....")
    with pytest.raises(TraceError, match=f"is packed by {name}; unpack it"):
        read_log([tmp_path / "a"])


def test_unreadable_lines_are_told_with_their_file(tmp_path: Path) -> None:
    write(tmp_path / "a.log", line(0, "a") + "?\n")
    write(tmp_path / "b.log", line(1, "b"))
    log = read_log([tmp_path])
    keys(log)
    assert list(lines_of(log)) == ["a.log, line 2 is not readable: not Common or Combined Log Format"]


def test_a_line_of_many_blocks_takes_no_memory_and_is_one_unreadable_line(tmp_path: Path) -> None:
    write(tmp_path / "a.log", line(0, "a") + "x" * (3 * BLOCK) + "\n" + line(1, "b"))
    log = read_log([tmp_path / "a.log"])
    assert keys(log) == ["/a", "/b"]
    assert (log.unreadable, log.first_unreadable[0].line) == (1, 2)
    assert "longer than" in log.first_unreadable[0].reason
