"""What the function's log says of the quarantine."""

import logging

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.adapters.telling import MOST_TOLD, tell
from tidemill_consumers.core.batch import Arrival, Frame, Position, Quarantined, Unreadable


def quarantined(number: int, reason: str = "no", *trace: Frame, key: str = "item/1") -> Quarantined:
    request = Request(id=f"id-{number}", cmd="item.reserve", key=key, data={})
    return Quarantined(Arrival("s", Position(number, 0), 0.0, key, request, encode(request)), reason, trace)


def test_a_reason_is_told_once_with_its_count_and_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    line = tell.__code__.co_firstlineno
    frame = Frame(tell.__code__.co_filename, line, "tell", "telling.py")
    first = (
        "quarantined 2 requests, the first (item.reserve, id id-1, key item/1): boom\n"
        "Traceback (most recent call last):\n"
        f'  File "{frame.file}", line {line}, in tell\n'
        "    def tell(quarantined: Iterable[Quarantined]) -> None:"
    )
    tell([quarantined(1, "boom", frame), quarantined(2, "boom", frame), quarantined(3)])
    assert [one.message for one in caplog.records] == [
        first,
        "quarantined a request (item.reserve, id id-3, key item/1): no",
    ]
    assert {one.levelno for one in caplog.records} == {logging.WARNING}


def test_what_is_no_request_is_told_by_its_key(caplog: pytest.LogCaptureFixture) -> None:
    tell([Quarantined(Unreadable("s", Position(1, 0), 0.0, "k", b"\xff", "not JSON"), "not JSON")])
    assert caplog.messages == ["quarantined a request (key k): not JSON"]


def test_what_clients_write_is_one_line_and_orders_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    tell([quarantined(1, "\x1b[2J\nSTART RequestId", key="\u202eé")])
    assert caplog.messages == [
        "quarantined a request (item.reserve, id id-1, key \\u202eé): \\x1b[2J\\nSTART RequestId"
    ]


def test_of_many_reasons_the_rest_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    tell([quarantined(n, str(n)) for n in range(MOST_TOLD + 3)])
    assert len(caplog.messages) == MOST_TOLD + 1
    assert caplog.messages[-1] == "quarantined for 3 more reasons"


def test_nothing_is_told_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tell([])
    assert not caplog.records
