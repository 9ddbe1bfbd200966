"""The spool's folder: whose it is, what lies in it that is no file, its modes, and a disk that is too small."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tidemill.spool.errors import SpoolBroken
from tidemill.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROOT = os.geteuid() == 0
SOMEBODY = 12_345


def kept(folder: Path) -> list[bytes]:
    with Spool(folder) as spool:
        return [payload for _, payload in spool.recover()]


def used(folder: Path) -> None:
    """A folder that a spool has used, with a request in it."""
    with Spool(folder) as spool:
        spool.append(b"first", 1)


# ---- whose it is


@pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o277, 0o777])
def test_modes_are_for_the_owner_only_whatever_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        used(tmp_path / "spool")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"lock", "writer"} < set(modes)
    assert kept(tmp_path / "spool") == [b"first"]


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_may_write_is_refused(mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    used(folder)
    folder.chmod(mode)
    with pytest.raises(SpoolBroken, match=f"others may write there, by its mode {mode:o}; .* of mode 700") as told:
        Spool(folder)
    assert told.value.errno == errno.EPERM
    folder.chmod(0o700)
    assert kept(folder) == [b"first"]


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_folder_that_others_may_read_was_made_so(mode: int, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(mode)
    used(tmp_path / "spool")
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == mode


@pytest.mark.skipif(not ROOT, reason="only root gives folders away")
def test_anothers_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    used(folder)
    os.chown(folder, SOMEBODY, SOMEBODY)
    with pytest.raises(SpoolBroken, match=f"it belongs to the user {SOMEBODY}; use a folder of this user's alone"):
        Spool(folder)
    os.chown(folder, 0, 0)
    assert kept(folder) == [b"first"]


def test_a_link_of_ones_own_leads_to_the_folder(tmp_path: Path) -> None:
    used(tmp_path / "real")
    (tmp_path / "spool").symlink_to(tmp_path / "real")
    assert kept(tmp_path / "spool") == [b"first"]


@pytest.mark.skipif(not ROOT, reason="only root gives links away")
def test_anothers_link_is_not_followed(tmp_path: Path) -> None:
    used(tmp_path / "real")
    (tmp_path / "spool").symlink_to(tmp_path / "real")
    os.chown(tmp_path / "spool", SOMEBODY, SOMEBODY, follow_symlinks=False)
    with pytest.raises(SpoolBroken, match=f"it belongs to the user {SOMEBODY}"):
        Spool(tmp_path / "spool")


# ---- what is no file


def link(path: Path) -> None:
    (path.parent.parent / "elsewhere").write_bytes(b"somebody's")
    path.symlink_to(path.parent.parent / "elsewhere")


def dangling(path: Path) -> None:
    path.symlink_to(path.parent.parent / "nowhere")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = os.open(path.parent, os.O_RDONLY)  # a socket's name is short
        try:
            one.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


def device(path: Path) -> None:
    if not ROOT:
        pytest.skip("only root makes devices")
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # zeros without end


@pytest.mark.parametrize("name", ["lock", "writer", "writer.new", "000000000001-00000007.spool"])
@pytest.mark.parametrize("put", [link, dangling, os.mkfifo, os.mkdir, listening, device])
def test_what_is_no_plain_file_is_neither_followed_nor_waited_for(
    put: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    put(folder / name)
    with pytest.raises(SpoolBroken, match=f"{name} is no plain file; remove it, or use another folder"):
        Spool(folder)
    if put is link:
        assert (tmp_path / "elsewhere").read_bytes() == b"somebody's"
    assert not (tmp_path / "nowhere").exists()
    if put is os.mkdir:
        (folder / name).rmdir()
    else:
        (folder / name).unlink()
    used(folder)
    assert kept(folder) == [b"first"]


# ---- a disk that is too small


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """256 KiB: a quarter of a segment."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip(f"no file system can be mounted: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill_up(spool: Spool) -> list[int]:
    taken: list[int] = []
    problem: SpoolBroken | None = None
    while problem is None:
        try:
            taken.append(spool.append(b"x" * 5_000, spool.counter + 1))
        except SpoolBroken as error:
            problem = error
    assert problem.errno == errno.ENOSPC
    return taken


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_disk_with_less_room_than_a_segment_is_free_again_once_all_is_settled(
    at_once: bool, fsync: str, small_disk: Path
) -> None:
    with Spool(small_disk / "spool", fsync=fsync) as spool:  # type: ignore[arg-type] # one of the three
        counts = []
        for _ in range(4):
            numbers = fill_up(spool)
            counts.append(len(numbers))
            for some in [numbers] if at_once else [[one] for one in numbers]:
                spool.settle(some)
            assert spool.pending == 0
        assert min(counts) > 30
        spool.append(b"last", spool.counter + 1)
        counter = spool.counter
    with Spool(small_disk / "spool") as again:
        assert [payload for _, payload in again.recover()] == [b"last"]
        assert again.counter >= counter


def test_what_is_pending_on_a_full_disk_is_there_after_a_kill(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool")
    numbers = fill_up(spool)
    spool.settle(numbers[:3])  # nowhere to write that down
    spool._let_go()
    with Spool(small_disk / "spool") as again:
        left = [number for number, _ in again.recover()]
        assert set(left) >= set(numbers[3:])
        again.settle(left)
        assert len(fill_up(again)) > 30


def test_a_limit_on_the_size_of_files_is_no_end_either(tmp_path: Path) -> None:
    script = """
import resource, sys
from tidemill.spool.errors import SpoolBroken
from tidemill.spool.spool import Spool
spool = Spool(sys.argv[1], fsync="never")
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
for _ in range(4):
    taken = []
    try:
        while True:
            taken.append(spool.append(b"x" * 300, spool.counter + 1))
    except SpoolBroken:
        spool.settle(taken)
    print(len(taken), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "spool"], check=True, capture_output=True, text=True
    )
    assert min(map(int, done.stdout.split())) > 10
    assert len(done.stdout.split()) == 4


# ---- what can no longer be read


def test_a_request_that_can_no_longer_be_read_does_not_keep_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Spool(tmp_path / "spool") as spool:
        for number in range(3):
            spool.append(b"request %d" % number, number + 1)
    with Spool(tmp_path / "spool") as again, caplog.at_level(logging.WARNING, "tidemill"):
        (segment,) = (tmp_path / "spool").glob("*.spool")
        data = segment.read_bytes()
        segment.write_bytes(data.replace(b"request 1", b"requesT 1"))  # since it was opened
        assert list(again.recover()) == [(1, b"request 0"), (3, b"request 2")]
        assert f"{segment}: request 2 can no longer be read" in caplog.text


def test_a_segment_that_has_gone_does_not_keep_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    used(tmp_path / "spool")
    with Spool(tmp_path / "spool") as again, caplog.at_level(logging.WARNING, "tidemill"):
        for segment in (tmp_path / "spool").glob("*.spool"):
            segment.unlink()
        assert list(again.recover()) == []
        assert "cannot be read: " in caplog.text
        assert "request 1 can no longer be read" in caplog.text
        assert again.append(b"second", 2) == 2
