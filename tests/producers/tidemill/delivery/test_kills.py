"""After a kill, what a spool's last call carried is sent again with a mark, and nothing else."""

from __future__ import annotations

import shutil
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from tests.producers.tidemill.sending.test_marks import mark_of
from tests.producers.tidemill.sending.test_scheduler import requests_in
from tidemill.delivery.core import Core
from tidemill.sending.records import Acknowledged, Call, Refused
from tidemill.sending.stream_clock import StreamClock
from tidemill.spool.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

TIME = 1_764_360_000_000
STORED = Acknowledged("shard", "1")
LOST = Refused("ReadTimeoutError", "no answer", again=True, lost=True)
THROTTLED = Refused("ThrottlingException", "slow down", again=True)


def opened(folder: Path, now: float = 0.0, hour: int = 0, **options: Any) -> Core:
    clock = StreamClock()
    clock.hear(TIME / 1000 + 1 + 3600 * hour, now)
    settings: dict[str, Any] = {"linger": 0.0, "lanes": 1, "spool": Spool(folder, fsync="never")} | options
    return Core(now, clock, **settings)


def send(core: Core, number: int, now: float = 0.0) -> None:
    _, before, behind = core.writer.draft("c", "k", {"number": number}, None, None, 0)
    assert core.keep("k", before, behind, now, inf)


def call_of(core: Core, now: float = 0.0) -> Call:
    call = core.next_call(now)
    assert isinstance(call, Call)
    return call


def killed(core: Core, folder: Path) -> Path:
    """The folder as a kill at this moment would leave it."""
    copy = folder.with_name(f"{folder.name}+")
    shutil.copytree(folder, copy)
    core.end()
    return copy


def sent_by(core: Core, now: float = 0.0) -> list[tuple[list[int], int | None]]:
    """What it sends, in its order: the requests of each record, and its mark."""
    sent = []
    while isinstance(call := core.next_call(now), Call):
        sent += [([one.data["number"] for one in requests_in(record)], mark_of(record)) for record in call.records]
        core.settle(call, [STORED] * call.count, now)
        core.take_news(now)
        now += 1
    return sent


@pytest.mark.parametrize("aggregate", [True, False])
def test_what_was_in_flight_at_a_kill_is_marked_and_nothing_else(tmp_path: Path, aggregate: bool) -> None:
    folder = tmp_path / "spool"
    core = opened(folder, aggregate=aggregate)
    send(core, 0)
    core.settle(call_of(core), [STORED], 0.0)
    core.take_news(0.0)
    send(core, 1)
    call_of(core)
    send(core, 2)
    send(core, 3)
    again = opened(killed(core, folder), hour=5, aggregate=aggregate, linger=1.0)
    fresh: list[tuple[list[int], None]] = [([2, 3], None)] if aggregate else [([2], None), ([3], None)]
    assert sent_by(again, 1.0) == [([1], TIME), *fresh]
    again.end()


def test_what_was_never_put_is_not_marked_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    core = opened(folder)
    send(core, 1)
    again = opened(killed(core, folder))
    assert sent_by(again) == [([1], None)]
    again.end()


def test_a_kill_after_a_kill_keeps_the_first_attempts_time(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    core = opened(folder)
    send(core, 1)
    call_of(core)
    second = opened(killed(core, folder), hour=5)
    call_of(second)
    third = opened(killed(second, tmp_path / "spool+"), hour=50)
    assert sent_by(third) == [([1], TIME)]
    third.end()


def test_a_producer_that_was_closed_leaves_marks_for_what_may_be_stored(tmp_path: Path) -> None:
    core = opened(tmp_path / "spool")
    send(core, 1)
    core.settle(call_of(core), [LOST], 0.0)
    core.end()
    again = opened(tmp_path / "spool", hour=5)
    assert sent_by(again) == [([1], TIME)]
    again.end()


def test_within_a_process_what_was_refused_for_certain_is_not_marked(tmp_path: Path) -> None:
    core = opened(tmp_path / "spool")
    send(core, 1)
    core.settle(call_of(core), [THROTTLED], 0.0)
    assert sent_by(core, 60.0) == [([1], None)]
    core.end()


def test_a_call_whose_note_cannot_be_written_is_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    core = opened(tmp_path / "spool")
    send(core, 1)
    spool: Any = core._spool

    def refuses(tried: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(spool._log, "attempt", refuses)
        due = core.next_call(0.0)
        assert not isinstance(due, Call)
        assert due < 1.0
        assert not isinstance(core.next_call(5.0), Call)
    assert "Read-only file system" in caplog.text
    assert core.stats(5.0).pending == 1
    assert sent_by(core, 60.0) == [([1], None)]
    core.end()


def test_a_note_is_written_before_its_call_is_handed_out(tmp_path: Path) -> None:
    core = opened(tmp_path / "spool")
    send(core, 1)
    spool: Any = core._spool
    assert spool.attempted == {}
    call_of(core)
    assert spool.attempted == {1: TIME}
    core.end()


def test_what_is_sent_after_a_kill_is_not_marked_for_the_sake_of_what_was_in_flight(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    core = opened(folder)
    send(core, 1)
    call_of(core)
    again = opened(killed(core, folder), hour=5, linger=1.0)
    send(again, 2)
    assert sent_by(again, 1.0) == [([1], TIME), ([2], None)]
    again.end()
