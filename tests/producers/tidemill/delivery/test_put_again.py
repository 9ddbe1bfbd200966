"""A request that is put again by its sender: marked with what its sender knows of the first attempt."""

from math import inf
from pathlib import Path
from typing import Any, cast

import pytest
from types_boto3_kinesis import KinesisClient

from tidemill import OutcomeUnknown, Producer, Request, Spool
from tidemill.contract.aggregation import unpack
from tidemill.contract.attempts import tried_of
from tidemill.contract.request import decode
from tidemill.delivery.core import Core
from tidemill.sending.records import Acknowledged, Call, Record, Refused
from tidemill.sending.stream_clock import StreamClock
from tidemill.spool.errors import SpoolBroken

TRIED = 1_764_360_000_000
REQUEST = Request(id="1", cmd="c", key="k", writer="another", counter=3, data={"a": 1})
AGAIN = Request(id="1", cmd="c", key="k", writer="another", counter=3, data={"a": 1}, tried=TRIED)


def core_of(**settings: Any) -> Core:
    return Core(0.0, StreamClock(), linger=0.0, **settings)


def marks_and_requests(records: list[Record]) -> list[tuple[int | None, list[Request]]]:
    return [
        (tried_of(one.entry["PartitionKey"]), [decode(user.data) for user in unpack(one.entry["Data"])])
        for one in records
    ]


def entries_of(core: Core) -> list[tuple[int | None, list[Request]]]:
    seen: list[tuple[int | None, list[Request]]] = []
    while isinstance(call := core.next_call(0.0), Call):
        seen += marks_and_requests(call.records)
        core.settle(call, [Acknowledged("s", "1")] * call.count, 0.0)
    return seen


@pytest.mark.parametrize("tried", [TRIED, 0])
def test_a_request_that_states_when_it_was_tried_is_marked_and_otherwise_as_it_was(tried: int) -> None:
    core = core_of()
    core.put(Request(id="1", cmd="c", key="k", writer="another", counter=3, data={"a": 1}, tried=tried), 0.0)
    assert entries_of(core) == [(tried, [REQUEST])]


def test_what_is_sent_before_or_after_it_is_not_marked_for_its_sake() -> None:
    core = core_of()
    core.put(REQUEST, 0.0)
    core.put(AGAIN, 0.0)
    core.put(REQUEST, 0.0)
    assert [mark for mark, _ in entries_of(core)] == [None, TRIED, None]


def test_a_kill_before_it_left_does_not_cost_the_mark(tmp_path: Path) -> None:
    core = core_of(spool=Spool(tmp_path / "spool"))
    core.put(AGAIN, 0.0)
    core._spool._let_go()  # type: ignore[union-attr] # as a kill does
    assert entries_of(core_of(spool=Spool(tmp_path / "spool"))) == [(TRIED, [REQUEST])]


def test_a_request_whose_mark_cannot_be_kept_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool")
    core = core_of(spool=spool)

    def full(_: object) -> None:
        raise SpoolBroken("no space")

    monkeypatch.setattr(spool, "attempt", full)
    with pytest.raises(SpoolBroken):
        core.put(AGAIN, 0.0)
    assert (spool.pending, core.next_call(0.0)) == (0, spool.due)


class LosesAnswers:
    """Answers no call."""

    def put_records(self, **_: Any) -> dict[str, Any]:
        raise ConnectionError("reset")


def test_an_unknown_outcome_tells_what_to_state_when_the_request_is_put_again() -> None:
    kinesis = cast("KinesisClient", LosesAnswers())
    with Producer("s", kinesis=kinesis, check=False, close_timeout=1) as producer:
        handle = producer.send("c", key="k", ttl=0.3)
        with pytest.raises(OutcomeUnknown) as raised:
            handle.result(30)
    assert raised.value.tried == 0, "no answer has told the stream's time"


def test_the_first_attempts_time_is_told() -> None:
    clock = StreamClock()
    clock.hear(TRIED / 1000 + 1, 0.0)
    core = Core(0.0, clock, linger=0.0)
    taken = core.put(REQUEST, 0.0)
    call = core.next_call(0.0)
    assert taken is not None
    assert isinstance(call, Call)
    core.settle(call, Refused("Reset", "", again=False, lost=True), 5.0)
    core.take_news(inf)
    error = core.take_refusal()
    assert isinstance(error, OutcomeUnknown)
    assert error.tried == TRIED


def test_what_was_refused_for_certain_is_no_attempt(tmp_path: Path) -> None:
    """As of a device that is offline: nothing has reached the stream, whatever was tried."""
    core = core_of(spool=Spool(tmp_path / "spool"))
    core.put(REQUEST, 0.0)
    call = core.next_call(0.0)
    assert isinstance(call, Call)
    core.settle(call, Refused("EndpointConnectionError", "", again=True), 0.0)
    core._spool._let_go()  # type: ignore[union-attr] # as a kill does
    later = core_of(spool=Spool(tmp_path / "spool"))
    assert entries_of(later) == [(None, [REQUEST])]


def test_the_first_attempt_that_may_have_been_stored_is_what_counts() -> None:
    clock = StreamClock()
    clock.hear(TRIED / 1000 + 1, 0.0)
    core = Core(0.0, clock, linger=0.0)
    core.put(REQUEST, 0.0)
    call = core.next_call(0.0)
    assert isinstance(call, Call)
    core.settle(call, Refused("EndpointConnectionError", "", again=True), 0.0)
    clock.hear(TRIED / 1000 + 7_201, 7_200.0)
    call = core.next_call(7_200.0)
    assert isinstance(call, Call)
    core.settle(call, Refused("Reset", "", again=True, lost=True), 7_200.0)
    call = core.next_call(7_300.0)
    assert isinstance(call, Call)
    assert tried_of(call.records[0].entry["PartitionKey"]) == TRIED + 7_200_000
