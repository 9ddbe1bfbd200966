"""Attempts: of the requests that were pending at a kill, the spool tells which may have been stored, and since when."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.producers.tidemill.spool.test_spool import (
    SEGMENT,
    Disk,
    Power,
    crashed,
    disk,
    fill,
    opened,
    power,
    segments,
)
from tidemill.spool.errors import SpoolBroken
from tidemill.spool.frames import ATTEMPTED, Frame, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["disk", "power"]  # fixtures


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Nobody cuts the power here, but for the tests that say so and then look at each fsync."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def attempted_in(folder: Path, **options: Any) -> dict[int, int]:
    """What the next process would be told."""
    with opened(folder, **options) as spool:
        return dict(spool.attempted)


def notes_in(folder: Path) -> int:
    return sum(
        isinstance(found, Frame) and found.kind == ATTEMPTED
        for path in segments(folder)
        for found in read(path.read_bytes(), int(path.stem.split("-")[1], 16))
    )


def test_after_a_kill_it_is_known_what_was_attempted_and_when(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        fill(spool, 6)
        assert spool.attempted == {}
        spool.attempt({1: 100, 2: 100})
        spool.attempt({4: 200})
        assert spool.attempted == {1: 100, 2: 100, 4: 200}
        assert attempted_in(crashed(tmp_path / "spool")) == {1: 100, 2: 100, 4: 200}
    assert attempted_in(tmp_path / "spool") == {1: 100, 2: 100, 4: 200}
    assert attempted_in(tmp_path / "spool") == {1: 100, 2: 100, 4: 200}, "and by the process after the next"


def test_the_first_attempt_counts_and_is_noted_once(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        fill(spool, 3)
        spool.attempt({1: 100})
        spool.attempt({1: 200, 2: 200})
        size = sum(path.stat().st_size for path in segments(tmp_path / "spool"))
        spool.attempt({1: 300, 2: 300})
        assert sum(path.stat().st_size for path in segments(tmp_path / "spool")) == size
    assert attempted_in(tmp_path / "spool") == {1: 100, 2: 200}


def test_what_is_settled_is_no_attempt_any_more(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        fill(spool, 3)
        spool.attempt({1: 100, 2: 100, 99: 100})
        spool.settle([1])
        spool.attempt({1: 200})
        assert spool.attempted == {2: 100}
        assert attempted_in(crashed(tmp_path / "spool")) == {2: 100}


def test_a_note_goes_with_what_it_names(tmp_path: Path) -> None:
    """Old segments are left when little in them is pending; what was attempted there is so in the new one."""
    with opened(tmp_path / "spool") as spool:
        first = list(fill(spool, 20))
        spool.attempt(dict.fromkeys(first, 100))
        spool.settle(first[1:])
        for _ in range(30):
            spool.settle(fill(spool, 20))
        assert spool.pending == 1
        assert int(segments(tmp_path / "spool")[0].name[:12]) > 5, "its segment is gone"
        assert attempted_in(crashed(tmp_path / "spool")) == {first[0]: 100}


@given(st.data())
@settings(max_examples=20)
def test_whatever_was_done_the_next_process_knows_the_attempts(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spools") / "spool"
    spool = opened(folder)
    pending: dict[int, int | None] = {}
    for turn in range(data.draw(st.integers(1, 30))):
        match data.draw(st.sampled_from(["append", "attempt", "settle", "crash"])):
            case "append":
                pending |= dict.fromkeys(fill(spool, data.draw(st.integers(1, 15))))
            case "attempt" if pending:
                some = data.draw(st.lists(st.sampled_from(sorted(pending)), unique=True))
                spool.attempt(dict.fromkeys(some, turn))
                pending |= {number: turn for number in some if pending[number] is None}
            case "settle" if pending:
                some = data.draw(st.lists(st.sampled_from(sorted(pending)), unique=True))
                spool.settle(some)
                for number in some:
                    del pending[number]
            case "crash":
                copy = crashed(folder)
                spool.close()
                folder, spool = copy, opened(copy)
        assert spool.attempted == {number: tried for number, tried in pending.items() if tried is not None}
    spool.close()
    assert attempted_in(folder) == {number: tried for number, tried in pending.items() if tried is not None}


# ── Older formats, damage, and disks that refuse


def test_what_an_older_release_left_may_all_have_been_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "spool"
    with monkeypatch.context() as patch:
        patch.setattr("tidemill.spool.frames.FORMAT", 1)
        patch.setattr("tidemill.spool.segment_log.FORMAT", 1)
        with opened(folder) as old:
            accepted = fill(old, 20)
    (folder / "attempts").unlink()  # it made none
    with opened(folder) as spool:
        assert spool.attempted == dict.fromkeys(accepted, 0)
        assert dict(spool.recover()) == accepted
        fresh = fill(spool, 1)
        spool.attempt(dict.fromkeys(fresh, 7))
    assert attempted_in(folder) == dict.fromkeys(accepted, 0) | dict.fromkeys(fresh, 7)


def test_an_older_release_refuses_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "spool"
    with monkeypatch.context() as patch:
        patch.setattr("tidemill.spool.frames.FORMAT", 1)
        patch.setattr("tidemill.spool.segment_log.FORMAT", 1)
        opened(folder).close()
    with opened(folder) as spool:
        fill(spool, 1)
    monkeypatch.setattr("tidemill.spool.recovery.FORMAT", 1)
    with pytest.raises(SpoolBroken, match="has format 2; use the release that wrote it"):
        opened(folder)


def test_a_damaged_note_makes_all_before_it_doubtful(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with opened(folder, segment_bytes=100_000) as spool:
        fill(spool, 3)
        spool.attempt({1: 100})
        size = segments(folder)[0].stat().st_size
        spool.attempt({2: 200})
        fill(spool, 1)
    (segment,) = segments(folder)
    damaged = bytearray(segment.read_bytes())
    damaged[size + 30] ^= 1
    segment.write_bytes(damaged)
    for _ in range(2):
        assert attempted_in(folder) == {1: 100, 2: 0, 3: 0}, "the fourth came later"


def test_a_note_that_was_cut_off_was_of_a_call_that_did_not_leave(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with opened(folder, segment_bytes=100_000) as spool:
        fill(spool, 3)
        spool.attempt({1: 100})
        size = segments(folder)[0].stat().st_size
        spool.attempt({2: 200})
    os.truncate(segments(folder)[0], size + 5)
    assert attempted_in(folder) == {1: 100}


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_when_a_full_disk_refuses_a_note_the_call_leaves_and_all_is_doubtful_after_a_kill(
    tmp_path: Path, disk: Disk, fsync: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool"
    with opened(folder, fsync=fsync) as spool:
        fill(spool, 20)
        spool.attempt({1: 100})
        disk.broken = {"write": errno.ENOSPC}
        spool.attempt({2: 200})
        spool.attempt({3: 300})
        assert len(caplog.records) == 1, "it says so once"
        assert "may be stored" in caplog.text
        disk.broken = {}
        assert attempted_in(crashed(folder)) == {1: 100} | dict.fromkeys(range(2, 21), 0)
        spool.attempt({4: 400})
        assert attempted_in(crashed(folder)) == {1: 100, 2: 200, 3: 300, 4: 400}, "all is noted again"


def test_a_call_does_not_leave_if_its_requests_would_seem_fresh_after_a_kill(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with opened(tmp_path / "spool") as spool:
        fill(spool, 20)
        disk.broken = {"write": errno.EROFS}
        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.unlink", refuses)
            for _ in range(2):
                with pytest.raises(SpoolBroken, match="Read-only file system"):
                    spool.attempt({2: 200})
                assert spool.attempted == {}
        disk.broken = {}
        spool.attempt({2: 300})
        assert attempted_in(crashed(tmp_path / "spool")) == {2: 300}


def test_a_folder_that_was_opened_on_a_full_disk_is_doubtful_until_a_note_is_written(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spool"
    with opened(folder) as spool:
        fill(spool, 3)
    (folder / "attempts").unlink()
    disk.broken = {"write": errno.ENOSPC}
    with opened(folder) as spool:
        assert spool.attempted == dict.fromkeys((1, 2, 3), 0)
        assert not (folder / "attempts").exists()
        disk.broken = {}
        fill(spool, 1)
        spool.attempt({4: 400})
        assert (folder / "attempts").exists()
    assert attempted_in(folder) == {1: 0, 2: 0, 3: 0, 4: 400}


def test_always_keeps_a_note_when_power_fails_at_any_time(tmp_path: Path, power: Power) -> None:
    with opened(tmp_path / "spool", fsync="always") as spool:
        tried: dict[int, int] = {}
        for turn in range(40):
            (number,) = fill(spool, 1)
            spool.attempt({number: turn})
            tried[number] = turn
            for folder in power.fail():
                assert attempted_in(folder).items() >= tried.items()
            if turn % 3:
                gone = max(tried)
                spool.settle([gone])
                del tried[gone]


def test_an_interval_forces_a_note_when_that_is_due(tmp_path: Path, power: Power) -> None:
    now = 0.0
    with opened(tmp_path / "spool", fsync="interval", sync_interval=1.0, clock=lambda: now) as spool:
        fill(spool, 1)
        spool.sync()
        now = 5.0
        spool.attempt({1: 100})
        assert spool.due == 6.0
        spool.sync()
        assert [attempted_in(folder) for folder in power.fail()] == [{1: 100}, {1: 100}]


def test_a_closed_spool_notes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "spool", segment_bytes=SEGMENT) as spool:
        fill(spool, 1)
    with pytest.raises(ValueError, match="the spool is closed"):
        spool.attempt({1: 1})
