"""The spool: what it accepted is there again, once it was killed, cut off, damaged, full or out of power."""

from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidemill.spool.errors import SpoolBroken, SpoolFull, SpoolInUse
from tidemill.spool.folder import KEPT_DAMAGED
from tidemill.spool.frames import REQUEST, Frame, read, to_frame
from tidemill.spool.identity import RESERVED
from tidemill.spool.spool import Spool

if TYPE_CHECKING:
    from contextlib import suppress
from collections.abc import Callable, Iterator
from contextlib import suppress

SEGMENT = 1_024


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Nobody cuts the power here, but for the tests that say so and then look at each fsync."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def opened(folder: Path, **options: Any) -> Spool:
    defaults: dict[str, Any] = {"segment_bytes": SEGMENT, "fsync": "never"}
    return Spool(folder, **defaults | options)


def crashed(folder: Path) -> Path:
    """The folder as a kill at this moment would leave it."""
    copy = Path(tempfile.mkdtemp(dir=folder.parent)) / "spool"
    shutil.copytree(folder, copy)
    return copy


def pending_in(folder: Path, **options: Any) -> dict[int, bytes]:
    """What the next process would find, in its order."""
    with opened(folder, **options) as spool:
        return dict(spool.recover())


def fill(spool: Spool, count: int, size: int = 100) -> dict[int, bytes]:
    """Requests that differ, by their numbers."""
    payloads = [f"{spool.counter}/{one}/".encode().ljust(size, b".") for one in range(count)]
    return {spool.append(payload, spool.counter + 1): payload for payload in payloads}


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in segments(folder))


def frames_in(path: Path) -> list[Frame]:
    found = read(path.read_bytes(), int(path.stem.split("-")[1], 16))
    return [frame for frame in found if isinstance(frame, Frame) and frame.kind == REQUEST]


# ---- what is accepted is there again


def test_what_is_pending_is_there_again_in_the_order_appended(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        accepted = fill(spool, 50)
        assert len(segments(tmp_path / "spool")) > 3
        assert (spool.pending, list(spool.recover())) == (50, [])
    with opened(tmp_path / "spool") as again:
        assert again.pending == 50
        assert list(again.recover()) == list(accepted.items())
        assert list(again.recover()) == []
    assert list(accepted) == sorted(accepted)


def test_what_is_settled_is_not(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        accepted = fill(spool, 20)
        spool.settle([*list(accepted)[::2], 999])
        del accepted[1], accepted[3]
        spool.settle([1, 3])
    kept = {number: payload for number, payload in accepted.items() if number % 2 == 0}
    assert pending_in(tmp_path / "spool") == kept
    assert pending_in(crashed(tmp_path / "spool")) == kept


def test_settled_while_it_recovers_is_not_recovered(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        accepted = fill(spool, 40)
    with opened(tmp_path / "spool") as again:
        found = again.recover()
        first = next(found).number
        again.settle([number for number in accepted if number not in (first, 17, 33)])
        fill(again, 40)
        assert [(number, payload) for number, payload in found] == [(17, accepted[17]), (33, accepted[33])]


def test_writer_and_counter_outlive_all_that_was_settled(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        assert len(spool.writer) == 12
        assert spool.counter == 0
        spool.settle(fill(spool, 30))
        assert (spool.pending, spool.bytes, spool.counter) == (0, 0, 30)
    for _ in range(2):
        with opened(tmp_path / "spool") as again:
            assert (again.writer, again.counter, again.pending) == (spool.writer, 30, 0)


def test_a_number_is_not_used_twice(tmp_path: Path) -> None:
    numbers: list[int] = []
    for size in (100, 3 * SEGMENT, 100):
        with opened(tmp_path / "spool") as spool:
            accepted = list(fill(spool, 20, size))
            spool.settle(accepted)
            numbers += accepted
    assert numbers == sorted(set(numbers))


def test_no_counter_is_used_twice_after_a_crash(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    highest = 0
    for _ in range(3):
        spool = opened(folder)
        assert highest <= spool.counter <= highest + RESERVED
        fill(spool, 3)
        highest = spool.counter
        folder = crashed(folder)
        spool.close()


def test_counters_are_reserved_anew_when_they_are_used_up(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        spool.append(b"one", RESERVED + 7)
        spool.append(b"another writer's", 7)
        assert spool.counter == RESERVED + 7
        with opened(crashed(tmp_path / "spool")) as again:
            assert again.counter >= RESERVED + 7
    with opened(tmp_path / "spool") as closed:
        assert closed.counter == RESERVED + 7


def test_another_writer_needs_another_folder(tmp_path: Path) -> None:
    with opened(tmp_path / "spool", writer="phone-1") as spool:
        assert spool.writer == "phone-1"
    with pytest.raises(ValueError, match=r"spool of the writer 'phone-1', not 'phone-2'; use another folder"):
        opened(tmp_path / "spool", writer="phone-2")
    opened(tmp_path / "spool", writer="phone-1").close()


@pytest.mark.parametrize(
    "options", [{"fsync": "sometimes"}, {"max_bytes": 0}, {"segment_bytes": 1_023}, {"sync_interval": inf}]
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"=.*use "):
        opened(tmp_path / "spool", **options)
    assert not (tmp_path / "spool").exists()


def test_a_closed_spool_says_so(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    spool.close()
    spool.close()
    for use in (lambda: spool.append(b"", 1), lambda: spool.settle([1]), spool.sync):
        with pytest.raises(ValueError, match="the spool is closed"):
            use()


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path / "spool") as spool:
            fill(spool, 20)
            assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
            assert {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()} == {0o600}
    finally:
        os.umask(before)


# ---- room


def test_a_full_spool_takes_nothing_until_something_is_settled(tmp_path: Path) -> None:
    with opened(tmp_path / "spool", max_bytes=1_000) as spool:
        first, *_ = accepted = fill(spool, 7)
        assert not spool.room_for(100)
        with pytest.raises(SpoolFull, match=r"no room for 127 bytes: 889 of 1000 are pending") as full:
            fill(spool, 1)
        assert (full.value.size, full.value.limit) == (127, 1_000)
        assert (spool.pending, spool.bytes, spool.counter) == (7, 889, 7)
        assert pending_in(crashed(tmp_path / "spool")) == accepted
        spool.settle([first])
        assert spool.room_for(100)
        accepted |= fill(spool, 1)
    del accepted[first]
    assert pending_in(tmp_path / "spool") == accepted


def test_room_is_for_exactly_what_fits(tmp_path: Path) -> None:
    with opened(tmp_path / "spool", max_bytes=1_000) as spool:
        assert spool.room_for(973)
        assert not spool.room_for(974)
        spool.append(bytes(973), 1)
        assert spool.bytes == 1_000


def test_a_request_may_be_larger_than_a_segment(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        accepted = fill(spool, 5, size=3 * SEGMENT)
        assert pending_in(crashed(tmp_path / "spool")) == accepted
        spool.settle(accepted)
        fill(spool, 1)
        spool.settle([6])
        assert size_of(tmp_path / "spool") < 3 * SEGMENT


def test_one_old_request_does_not_hold_the_room_of_all_that_came_after(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        old = fill(spool, 1)
        for _ in range(300):
            spool.settle(fill(spool, 5))
            assert size_of(tmp_path / "spool") <= 4 * SEGMENT
            assert len(segments(tmp_path / "spool")) <= 5
        assert pending_in(crashed(tmp_path / "spool")) == old
        assert spool.pending == 1


def test_what_is_settled_is_recorded_once(tmp_path: Path) -> None:
    with opened(tmp_path / "spool", segment_bytes=1 << 20) as spool:
        accepted = fill(spool, 200)
        before = size_of(tmp_path / "spool")
        for number in accepted:
            spool.settle([number])
        assert size_of(tmp_path / "spool") - before < 200 * 35


# ---- against a model, with kills


class Model(RuleBasedStateMachine):
    """Requests come, are settled in any order, and the process ends in any way."""

    @initialize(segment=st.integers(1_024, 3_000), limit=st.integers(500, 6_000))
    def begin(self, segment: int, limit: int) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.folder = self.place / "spool"
        self.options = {"segment_bytes": segment, "max_bytes": limit}
        self.spool = opened(self.folder, **self.options)
        self.writer = self.spool.writer
        self.pending: dict[int, bytes] = {}
        self.counter = 0
        self.largest = 0

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.place)

    @rule(size=st.integers(0, 1_500), times=st.integers(1, 8))
    def append(self, size: int, times: int) -> None:
        for _ in range(times):
            payload = random.Random(self.counter).randbytes(size)
            if not self.spool.room_for(size):
                with pytest.raises(SpoolFull):
                    self.spool.append(payload, self.counter + 1)
                return
            self.counter = self.spool.counter + 1
            number = self.spool.append(payload, self.counter)
            assert number > max(self.pending, default=0)
            self.pending[number] = payload
            self.largest = max(self.largest, size)

    @rule(share=st.floats(0, 1), seed=st.integers(0, 99))
    def settle(self, share: float, seed: int) -> None:
        dice = random.Random(seed)
        gone = [number for number in self.pending if dice.random() < share]
        self.spool.settle(dice.sample(gone, len(gone)))
        for number in gone:
            del self.pending[number]
        bound = 2 * self.spool.bytes + 3 * self.options["segment_bytes"] + self.largest
        assert size_of(self.folder) <= bound + 300
        assert len(segments(self.folder)) <= 4 + bound // self.options["segment_bytes"]

    @rule()
    def settle_all_but_the_oldest(self) -> None:
        gone = list(self.pending)[1:]
        self.spool.settle(gone)
        for number in gone:
            del self.pending[number]

    @rule()
    def restart(self) -> None:
        exact = self.spool.counter
        self.spool.close()
        self.open_again()
        assert self.spool.counter == exact

    @rule()
    def crash(self) -> None:
        self.folder = crashed(self.folder)
        self.spool.close()
        self.open_again()

    @precondition(lambda self: self.spool.room_for(200))
    @rule(kept=st.integers(0, 226))
    def crash_amid_append(self, kept: int) -> None:
        self.spool.append(bytes(200), self.spool.counter + 1)
        self.folder = crashed(self.folder)
        self.spool.close()
        last = segments(self.folder)[-1]
        os.truncate(last, last.stat().st_size - 227 + kept)
        self.open_again()

    def open_again(self) -> None:
        self.spool = opened(self.folder, **self.options)
        assert self.spool.writer == self.writer
        assert self.spool.counter >= self.counter
        assert list(self.spool.recover()) == list(self.pending.items())

    @invariant()
    def agrees(self) -> None:
        assert self.spool.pending == len(self.pending)
        assert self.spool.bytes == sum(27 + len(payload) for payload in self.pending.values())


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class Killed(BaseException):
    """The process ends here."""


class Doom:
    """Ends the process at its n-th call of the operating system: before it, after it, or amid a write."""

    CALLS = ("open", "write", "fsync", "ftruncate", "truncate", "replace", "unlink")

    def __init__(self, patch: pytest.MonkeyPatch, at: int, how: str) -> None:
        self.left = at
        self.how = how
        for name in self.CALLS:
            patch.setattr(os, name, self.doomed(getattr(os, name)))

    def doomed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def doomed(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left:
                return call(*args, **options)
            if self.how == "after":
                with suppress(OSError):
                    call(*args, **options)
            elif self.how == "amid" and call.__name__ == "write":
                call(args[0], args[1][: len(args[1]) // 2])
            raise Killed

        return doomed


def lead_a_life(spool: Spool, accepted: dict[int, bytes], settled: set[int]) -> None:
    """Appends and settles: with segments that go, and one old request that moves."""
    for turn in range(12):
        for _ in range(4):
            payload = f"{turn}/{len(accepted)}".encode().ljust(120)
            accepted[spool.append(payload, spool.counter + 1)] = payload
        gone = set(accepted) - settled - {1, 9 + turn}
        settled |= gone  # may be settled from here on
        spool.settle(gone)


@pytest.mark.parametrize("how", ["before", "amid", "after"])
def test_a_kill_at_any_call_of_the_operating_system_loses_nothing(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 0
    ended = False
    while not ended:
        at += 1
        folder = tmp_path / f"{at}"
        accepted: dict[int, bytes] = {}
        settled: set[int] = set()
        spool = None
        with monkeypatch.context() as patch:
            Doom(patch, at, how)
            try:
                spool = opened(folder, fsync="always")
                lead_a_life(spool, accepted, settled)
                ended = True
            except Killed:
                pass
        found = {}
        if folder.exists():
            with opened(crashed(folder)) as again:
                found = dict(again.recover())
                assert again.bytes == sum(27 + len(payload) for payload in found.values())
        if spool:
            spool._let_go()
        assert list(found) == sorted(found)
        assert found.keys() >= accepted.keys() - settled
        assert all(accepted.get(number, found[number]) == found[number] for number in found)
        assert len(found.keys() - accepted.keys()) <= 1  # the one that was being appended
    assert at > 150


# ---- torn and damaged files


def test_an_end_cut_anywhere_costs_only_what_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = opened(tmp_path / "spool")
    accepted = fill(spool, 5, size=40)
    whole = crashed(tmp_path / "spool")
    spool.close()
    (segment,) = segments(whole)
    ends = [frame.end for frame in frames_in(segment)]
    for size in range(ends[1], ends[-1]):
        folder = crashed(whole)
        os.truncate(folder / segment.name, size)
        caplog.clear()
        with opened(folder) as again:
            left = dict(again.recover())
            assert list(left.items()) == list(accepted.items())[: sum(end <= size for end in ends)]
            assert bool(caplog.records) == (size not in ends)
            assert again.counter >= 5
            left |= fill(again, 1)
        assert pending_in(folder) == left
        assert len(segments(folder)) == 1, "what was torn is cut, and the segment goes on"
        assert not list(folder.glob("*.damaged"))


DAMAGES = st.sampled_from(("flip", "zero", "remove", "insert", "cut"))


def damage(data: bytes, how: str, start: int, size: int) -> bytes:
    if how == "flip":
        return data[:start] + bytes([data[start] ^ (1 << size % 8)]) + data[start + 1 :]
    if how == "zero":
        return data[:start] + bytes(len(data[start : start + size])) + data[start + size :]
    if how == "remove":
        return data[:start] + data[start + size :]
    if how == "insert":
        return data[:start] + random.Random(size).randbytes(size) + data[start:]
    return data[:start]


@settings(max_examples=200, deadline=None)
@given(data=st.data(), how=DAMAGES, size=st.integers(1, 300))
def test_damage_costs_only_what_it_strikes(data: st.DataObject, how: str, size: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "spool"
        with opened(folder) as spool:
            accepted = fill(spool, 25)
            spool.settle([2, 3, 24])
        path = data.draw(st.sampled_from(sorted([*segments(folder), folder / "writer"])))
        before = path.read_bytes()
        start = data.draw(st.integers(0, 1 << 16)) % len(before)
        frames = {frame.number: frame for one in segments(folder) for frame in frames_in(one)}
        struck = {frame.number for frame in frames_in(path) if _strikes(frame, how, start, size)} if path.suffix else ()
        path.write_bytes(damage(before, how, start, size))
        with opened(folder) as again:
            found = dict(again.recover())
            assert list(found) == sorted(found)
            assert all(accepted[number] == payload for number, payload in found.items())
            assert found.keys() >= frames.keys() - set(struck) - {2, 3, 24}
            assert again.writer == spool.writer
            assert again.counter >= 25
            found |= fill(again, 3)
        assert pending_in(folder) == found, "what could be read is whole again"


def _strikes(frame: Frame, how: str, start: int, size: int) -> bool:
    end = {"flip": start + 1, "insert": start + 1, "cut": inf}.get(how, start + size)
    return frame.start < end and start < frame.end


def test_a_damaged_segment_is_kept_beside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path / "spool") as spool:
        accepted = fill(spool, 12)
    middle = segments(tmp_path / "spool")[0]
    damaged = middle.read_bytes().replace(b"/2/", b"/9/")
    middle.write_bytes(damaged)
    (lost,) = (number for number, payload in accepted.items() if b"/2/" in payload)
    del accepted[lost]
    assert pending_in(tmp_path / "spool") == accepted
    assert f"{middle}: 127 bytes at" in caplog.text
    assert [path.read_bytes() for path in (tmp_path / "spool").glob("*.damaged")] == [damaged]
    caplog.clear()
    assert pending_in(tmp_path / "spool") == accepted
    assert not caplog.records, "it is mended"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"writer":"\xff', b'{"writer":"phone-2","counter":1}'])
def test_a_writer_that_cannot_be_read_is_known_from_the_segments(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    with opened(tmp_path, writer="phone-1") as spool:
        accepted = {spool.append(b"one", 10 * RESERVED): b"one"}
        spool.settle(fill(spool, 1, 3 * SEGMENT))
    (tmp_path / "writer").write_bytes(content)
    with opened(tmp_path, writer="phone-1") as again:
        assert "writer cannot be read" in caplog.text
        assert dict(again.recover()) == accepted
        assert again.counter > 11 * RESERVED
    opened(tmp_path, writer="phone-1").close()
    assert len(caplog.records) == 1


def test_few_damaged_segments_are_kept(tmp_path: Path) -> None:
    for turn in range(KEPT_DAMAGED + 3):
        with opened(tmp_path / "spool") as spool:
            fill(spool, 1)
        last = segments(tmp_path / "spool")[-1]
        last.write_bytes(last.read_bytes()[:-1] + b"!")
        opened(tmp_path / "spool").close()
        kept = sorted(tmp_path.glob("spool/*.damaged"))
        assert len(kept) == min(turn + 1, KEPT_DAMAGED)
        assert kept[-1].stem == last.stem


def test_what_can_no_longer_be_read_is_kept_beside_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path / "spool") as spool:
        accepted = fill(spool, 30)
        oldest = segments(tmp_path / "spool")[0]
        oldest.write_bytes(oldest.read_bytes().replace(b"/1/", b"/9/"))
        spool.settle([number for number in accepted if number > 2])
        fill(spool, 30)
        spool.settle(range(31, 61))
        assert "127 bytes can no longer be read" in caplog.text
        assert spool.pending == 2
        spool.settle([2])
        assert pending_in(crashed(tmp_path / "spool")) == {1: accepted[1]}
    assert [path.stem for path in tmp_path.glob("spool/*.damaged")] == [oldest.stem]


def test_a_payload_that_holds_frames_is_no_source_of_requests(tmp_path: Path) -> None:
    with opened(tmp_path / "spool") as spool:
        for _ in range(3):
            spool.append(to_frame(REQUEST, 99, 1, b"not sent", seed=1), spool.counter + 1)
        spool.append(segments(tmp_path / "spool")[0].read_bytes(), 4)
    first = segments(tmp_path / "spool")[0]
    first.write_bytes(first.read_bytes().replace(b"not sent", b"NOT SENT", 1))
    assert set(pending_in(tmp_path / "spool")) <= {2, 3, 4}


def test_a_later_format_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tidemill.spool.frames.FORMAT", 3)
        opened(tmp_path).close()
    before = {path.name: path.read_bytes() for path in segments(tmp_path)}
    with pytest.raises(SpoolBroken, match="has format 3; use the release that wrote it"):
        opened(tmp_path)
    assert {path.name: path.read_bytes() for path in segments(tmp_path)} == before


def test_a_given_writer_is_not_trusted_with_counters_nobody_knows(tmp_path: Path) -> None:
    with opened(tmp_path / "spool", writer="phone-1") as spool:
        accepted = fill(spool, 3)
    (segment,) = segments(tmp_path / "spool")
    segment.write_bytes(segment.read_bytes().replace(b"phone-1", b"phone-0"))
    (tmp_path / "spool" / "writer").unlink()
    with pytest.raises(SpoolBroken, match="counters that 'phone-1' has used are not known; use a new writer id"):
        opened(tmp_path / "spool", writer="phone-1")
    with opened(tmp_path / "spool") as again:
        assert again.writer not in ("phone-1", "phone-0", "")
        assert dict(again.recover()) == accepted


# ---- full and failing disks


class Disk:
    """Fails as it is told: `broken` names the calls, with an error each."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.broken: dict[str, int] = {}
        self.half = False
        for name in ("write", "fsync", "ftruncate", "open"):
            patch.setattr(os, name, self.failing(name, getattr(os, name)))

    def failing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*args: Any, **options: Any) -> Any:
            if name not in self.broken:
                return call(*args, **options)
            if name == "write" and self.half and len(args[1]) > 20:
                return call(args[0], args[1][:20])
            raise OSError(self.broken[name], os.strerror(self.broken[name]))

        return failing


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("broken", [("write",), ("write", "ftruncate"), ("write", "open"), ("write", "fsync")])
def test_a_full_disk_costs_nothing_that_was_accepted(
    tmp_path: Path, disk: Disk, half: bool, broken: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    spool = opened(tmp_path / "spool", fsync="always")
    accepted = fill(spool, 20)
    disk.half = half
    disk.broken = dict.fromkeys(broken, errno.ENOSPC)
    for _ in range(3):
        with pytest.raises(SpoolBroken, match=r"No space left on device; free some room") as problem:
            spool.append(b"refused", spool.counter + 1)
        assert problem.value.errno == errno.ENOSPC
    spool.settle([5])
    disk.broken = {}
    accepted |= fill(spool, 20)
    assert spool.pending == 39
    spool.settle([6])
    del accepted[5], accepted[6]
    assert pending_in(crashed(tmp_path / "spool")) == accepted
    spool.close()
    assert pending_in(tmp_path / "spool") == accepted
    assert "cannot be read" not in caplog.text, "what was half written is gone"


def test_a_full_disk_is_no_trouble_for_what_is_settled(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path / "spool") as spool:
        accepted = fill(spool, 40)
        before = size_of(tmp_path / "spool")
        disk.broken = {"write": errno.ENOSPC}
        for number in range(1, 31):
            spool.settle([number])
        assert spool.pending == 10
        assert len(caplog.records) == 1, "it says so once"
        assert size_of(tmp_path / "spool") < before / 2, "what is settled frees the disk all the same"
        disk.broken = {}
        spool.settle([])
        left = {number: payload for number, payload in accepted.items() if number > 30}
        assert pending_in(crashed(tmp_path / "spool")) == left


def test_what_could_not_be_forced_to_the_disk_is_not_accepted_and_the_rest_is_written_anew(
    tmp_path: Path, disk: Disk
) -> None:
    with opened(tmp_path / "spool", fsync="always") as spool:
        accepted = fill(spool, 20)
        old = segments(tmp_path / "spool")
        disk.broken = {"fsync": errno.EIO}
        for _ in range(5):
            with pytest.raises(SpoolBroken, match="Input/output error; look after the disk"):
                spool.append(b"refused", spool.counter + 1)
            assert len(segments(tmp_path / "spool")) == len(old), "trying again does not fill the disk"
        disk.broken = {}
        assert pending_in(crashed(tmp_path / "spool")) == accepted
        accepted |= fill(spool, 1)
        assert old[-1] not in segments(tmp_path / "spool")
        assert pending_in(crashed(tmp_path / "spool")) == accepted


def test_what_an_interval_could_not_force_is_tried_again(tmp_path: Path, disk: Disk) -> None:
    now = 0.0
    with opened(tmp_path / "spool", fsync="interval", sync_interval=1.0, clock=lambda: now) as spool:
        accepted = fill(spool, 1)
        old = segments(tmp_path / "spool")
        now = 1.0
        disk.broken = {"fsync": errno.EIO}
        with pytest.raises(SpoolBroken, match="Input/output error"):
            spool.sync()
        assert spool.due == 2.0
        disk.broken = {}
        spool.sync()
        assert spool.due == inf
        assert segments(tmp_path / "spool") != old, "the system has forgotten what it could not write"
        assert pending_in(crashed(tmp_path / "spool")) == accepted


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolBroken, match=f"the spool {tmp_path / 'file'} cannot be used: File exists"):
        opened(tmp_path / "file")


def test_a_limit_on_the_size_of_files_is_found_out(tmp_path: Path) -> None:
    script = """
import resource, sys
from tidemill.spool.errors import SpoolBroken
from tidemill.spool.spool import Spool
spool = Spool(sys.argv[1], fsync="never")
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
refused = 0
while refused < 3:
    try:
        print(spool.append(b"x" * 300, spool.counter + 1), flush=True)
    except SpoolBroken as error:
        assert "raise the process's limit on the size of files" in str(error), error
        refused += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(spool.append(b"y" * 300, spool.counter + 1), flush=True)
"""
    numbers = subprocess.run(  # it just ends, without close
        [sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True
    ).stdout.split()
    assert len(numbers) == 16
    assert list(pending_in(tmp_path)) == list(map(int, numbers))


# ---- power


class Power:
    """Remembers what has been forced to the disk; nothing else is there when power fails."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.contents: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        self.held: list[int] = []
        patch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        if inode == self.folder.stat().st_ino:
            self.names = {path.name: path.stat().st_ino for path in self.folder.iterdir()}
            return
        if inode not in self.contents:
            self.held.append(os.dup(descriptor))  # so that no other file gets its inode
        path = next(path for path in self.folder.iterdir() if path.stat().st_ino == inode)
        self.contents[inode] = path.read_bytes()

    def fail(self) -> Iterator[Path]:
        """The folder as it is afterwards: without later names, and, as some file systems have it, with those."""
        for names in (self.names, {path.name: path.stat().st_ino for path in self.folder.iterdir()}):
            left = Path(tempfile.mkdtemp(dir=self.folder.parent)) / "spool"
            left.mkdir()
            for name, inode in names.items():
                (left / name).write_bytes(self.contents.get(inode, b""))
            yield left


@pytest.fixture
def power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Power]:
    found = Power(monkeypatch, tmp_path / "spool")
    yield found
    for descriptor in found.held:
        os.close(descriptor)


def test_always_is_safe_when_power_fails_at_any_time(tmp_path: Path, power: Power) -> None:
    accepted: dict[int, bytes] = {}
    with opened(tmp_path / "spool", fsync="always") as spool:
        for turn in range(60):
            accepted |= fill(spool, 1)
            for folder in power.fail():
                with opened(folder) as left:
                    assert dict(left.recover()).items() >= accepted.items()
                    assert left.counter >= spool.counter
            if turn % 3:
                gone = max(accepted)
                spool.settle([gone])
                del accepted[gone]


def test_an_interval_costs_no_more_than_that(tmp_path: Path, power: Power) -> None:
    now = 0.0
    times: dict[int, float] = {}
    with opened(tmp_path / "spool", fsync="interval", sync_interval=1.0, clock=lambda: now) as spool:
        assert spool.due == inf
        for _ in range(100):
            now += 0.15
            if now >= spool.due:
                spool.sync()
                assert spool.due == inf
            (number,) = fill(spool, 1)
            assert spool.due <= now + 1.0
            times[number] = now
            for folder in power.fail():
                with opened(folder) as left:
                    found = dict(left.recover())
                    assert found.keys() >= {number for number, then in times.items() if then <= now - 1.0}
                    assert left.counter >= spool.counter, "a counter that was sent is not used again"
        spool.settle(times)


def test_appending_forces_what_is_due(tmp_path: Path, power: Power) -> None:
    now = 0.0
    with opened(tmp_path / "spool", fsync="interval", sync_interval=1.0, clock=lambda: now) as spool:
        fill(spool, 1)
        now = 1.0
        fill(spool, 1)
        assert spool.due == inf
        assert [len(pending_in(folder)) for folder in power.fail()] == [2, 2]


def test_never_uses_no_counter_twice_either(tmp_path: Path, power: Power) -> None:
    with opened(tmp_path / "spool", fsync="never") as spool:
        for _ in range(10):
            spool.settle(list(fill(spool, 10))[1:])
            assert spool.due == inf
            for folder in power.fail():
                with opened(folder) as left:
                    assert left.counter >= spool.counter


def test_what_moves_stays_on_the_disk_whatever_the_policy(tmp_path: Path, power: Power) -> None:
    with opened(tmp_path / "spool", fsync="never") as spool:
        old = fill(spool, 1)
        spool.sync()
        spool._files.force()  # as the operating system does some day
        for _ in range(100):
            spool.settle(fill(spool, 5))
            assert all(pending_in(folder).items() >= old.items() for folder in power.fail())
        assert len(segments(tmp_path / "spool")) < 5


def test_closing_forces_what_an_interval_has_not(tmp_path: Path, power: Power) -> None:
    with opened(tmp_path / "spool", fsync="interval") as spool:
        accepted = fill(spool, 5)
    for folder in power.fail():
        with opened(folder) as again:
            assert (again.counter, dict(again.recover())) == (5, accepted)


# ---- processes

HOLD = """
import sys, time
from tidemill.spool.spool import Spool
spool = Spool(sys.argv[1])
spool.append(b"held", 1)
print("held", flush=True)
time.sleep(60)
"""

APPEND = """
import sys
from tidemill.spool.spool import Spool
spool = Spool(sys.argv[1], segment_bytes=4_096, fsync="never", max_bytes=100_000)
found = list(spool.recover())
print(*(-one.number for one in found[:-20]), flush=True)
spool.settle(one.number for one in found[:-20])
while True:
    number = spool.append(b"%d " % spool.counter * 20, spool.counter + 1)
    print(number, flush=True)
    if number % 7 == 0:
        print(-number, flush=True)
        spool.settle([number])
"""


def start(script: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True)


def test_one_process_at_a_time_has_the_folder(tmp_path: Path) -> None:
    with start(HOLD, tmp_path) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(SpoolInUse, match=f"process {holder.pid} has the spool {tmp_path}; end it, or give each"):
            opened(tmp_path)
        holder.kill()
        holder.wait()
    assert list(pending_in(tmp_path).values()) == [b"held"]


def test_one_spool_of_a_process_has_the_folder(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(SpoolInUse):
        opened(tmp_path)
    opened(tmp_path).close()


def test_a_spool_that_could_not_be_opened_does_not_keep_the_folder(tmp_path: Path) -> None:
    opened(tmp_path, writer="one").close()
    with pytest.raises(ValueError, match="another folder"):
        opened(tmp_path, writer="two")
    opened(tmp_path).close()


def test_a_fork_neither_writes_nor_keeps_the_folder(tmp_path: Path) -> None:
    script = """
import os, sys, time
from tidemill.spool.spool import Spool
spool = Spool(sys.argv[1])
spool.append(b"parent", 1)
if os.fork():
    os._exit(0)
try:
    print(spool.append(b"child", 2), flush=True)
except ValueError as error:
    print(error, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert "opened before a fork" in parent.stdout.readline()
        parent.wait()
        assert list(pending_in(tmp_path).values()) == [b"parent"]


def test_a_killed_process_loses_nothing_that_it_said_was_accepted(tmp_path: Path) -> None:
    dice = random.Random(1)
    accepted: set[int] = set()
    for _ in range(12):
        with start(APPEND, tmp_path) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(dice.randrange(1, 300))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines()
        numbers = [int(number) for line in lines for number in line.split()]
        accepted |= {number for number in numbers if number > 0}
        accepted -= {-number for number in numbers}  # settled, or about to be
        found = pending_in(tmp_path, max_bytes=100_000)
        assert list(found) == sorted(found)
        assert found.keys() >= accepted
        assert all(payload == payload[: len(payload) // 20] * 20 for payload in found.values())
        assert len(found) <= len(accepted) + 25


def test_warnings_go_to_the_log_of_the_sdk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path) as spool:
        fill(spool, 1)
    (segment,) = segments(tmp_path)
    os.truncate(segment, segment.stat().st_size - 1)
    opened(tmp_path).close()
    assert [(record.name, record.levelno) for record in caplog.records] == [("tidemill", logging.WARNING)]
    assert "126 bytes of a write that was cut off; they are removed" in caplog.text


def test_what_was_moved_is_in_its_order_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path) as spool:
        accepted = fill(spool, 60)
        kept = [frames_in(path)[0].number for path in segments(tmp_path)]
        spool.settle(accepted.keys() - kept)
        assert len(segments(tmp_path)) < len(kept)
    with opened(tmp_path) as again:
        assert list(again.recover()) == [(number, accepted[number]) for number in kept]
        assert again.bytes == 127 * len(kept)
    assert not caplog.records
