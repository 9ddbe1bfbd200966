"""The herald: what it tells may take its time, and whoever has something to tell goes on."""

from collections.abc import Iterator
from functools import partial
from threading import Event

import pytest

from tidemill.runtime.herald import MOST, Herald

PATIENCE = 30
"""Seconds after which a test gives up; none of them needs it."""


@pytest.fixture
def gate() -> Iterator[Event]:
    opened = Event()
    yield opened
    opened.set()


def listen(is_told: Event, gate: Event) -> None:
    is_told.set()
    gate.wait(PATIENCE)


def held(gate: Event) -> Herald:
    """One that tells somebody who waits at the gate."""
    herald, is_told = Herald(), Event()
    herald.tell(partial(listen, is_told, gate))
    assert is_told.wait(PATIENCE)
    return herald


def test_what_is_too_much_is_dropped_and_counted_while_nobody_listens(
    gate: Event, caplog: pytest.LogCaptureFixture
) -> None:
    herald = held(gate)
    heard: list[int] = []
    for number in range(MOST + 50):
        herald.tell(partial(heard.append, number))
    assert herald._news.qsize() == MOST
    assert caplog.records == []
    gate.set()
    herald.rest()
    assert heard == list(range(MOST))
    assert [record.getMessage() for record in caplog.records] == [
        "50 log lines and calls of the observer were dropped: it is too slow"
    ]


def test_it_is_said_once_and_what_comes_later_is_heard(gate: Event, caplog: pytest.LogCaptureFixture) -> None:
    herald = held(gate)
    for _ in range(MOST + 1):
        herald.tell(Event)
    gate.set()
    herald.rest()
    heard = Event()
    herald.tell(heard.set)
    herald.rest()
    assert heard.is_set()
    assert caplog.text.count("1 log lines and calls") == 1


@pytest.mark.parametrize(("seconds", "lines"), [(60.0, 1), (0.0, 2)])
def test_what_is_dropped_later_is_said_once_all_else_has_been_told_or_a_while_has_passed(
    seconds: float, lines: int, gate: Event, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.runtime.herald.SAID_SECONDS", seconds)
    herald, is_told, another, said = held(gate), Event(), Event(), list[int]()
    herald.tell(partial(listen, is_told, another))
    herald.tell(lambda: said.append(len(caplog.records)))
    for _ in range(MOST):
        herald.tell(Event)
    gate.set()
    assert is_told.wait(PATIENCE)
    for _ in range(5):
        herald.tell(Event)
    another.set()
    herald.rest()
    assert said == [lines]
    assert [record.getMessage().split()[0] for record in caplog.records] == ["2", "4"]


def test_who_has_nothing_to_tell_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.runtime.herald.start", lambda *_: pytest.fail("nobody is to be told anything"))
    Herald().rest()


def test_where_no_thread_can_be_started_whoever_rests_hears_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("tidemill.runtime.herald.start", refused)
    herald, heard = Herald(), Event()
    herald.tell(heard.set)
    assert not heard.is_set()
    herald.rest()
    assert heard.is_set()
