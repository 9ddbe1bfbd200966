"""Follow-up requests back onto the stream: in order whatever fails, and what was not acknowledged is told."""

import logging
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from tests.values import places
from tidemill.contract.aggregation import unpack
from tidemill.contract.attempts import tried_of
from tidemill.contract.request import Request, decode
from tidemill.sending.scheduler import Scheduler
from tidemill_consumers.adapters.emits import ROUNDS, Emits
from tidemill_consumers.core.batch import Emitted, Position
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]

OK = {"ShardId": "shardId-000000000000", "SequenceNumber": "1"}
SLOW_DOWN = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}


def emitted(sequence: int, *keys: str) -> Emitted:
    requests = [
        Request(id=f"{sequence}-{n}", cmd="c", key=key, writer="emit/k", counter=10 * sequence + n, data={})
        for n, key in enumerate(keys)
    ]
    return Emitted("s", Position(sequence, 0), tuple(requests))


def emits(kinesis: Any, pauses: list[float], lanes: int = 64) -> Emits:
    """One request a record."""
    return Emits(
        kinesis,
        "requests",
        lambda: Scheduler(Random(1), lanes=lanes, linger=0, record_bytes=1, paced=False),
        pauses.append,
    )


class Wire:
    """Answers each call as it is told to, then with OK; keeps what was stored."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.stored: list[str] = []
        self.tried: list[int | None] = []
        self.calls = 0

    def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        self.calls += 1
        answer = self._answers.pop(0) if self._answers else [OK] * len(Records)
        if isinstance(answer, Exception):
            raise answer
        for record, outcome in zip(Records, answer, strict=False):
            if outcome is OK and len(answer) == len(Records):
                self.stored += [decode(one.data).id for one in unpack(record["Data"])]
                self.tried.append(tried_of(record["PartitionKey"]))
        return {"Records": answer}


def test_they_are_put_on_the_stream_as_a_producer_would(emulator: Emulator) -> None:
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName="emits", ShardCount=1)
    sent = [emitted(1, "a", "b"), emitted(2, "a")]
    assert Emits(kinesis, "emits").send(sent) == []
    shard = kinesis.list_shards(StreamName="emits")["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName="emits", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    found = [decode(one.data) for record in records for one in unpack(record["Data"])]
    assert {one.id: one for one in found} == {one.id: one for each in sent for one in each.requests}
    assert [one.id for one in found if one.key == "a"] == ["1-0", "2-0"]
    kinesis.delete_stream(StreamName="emits")


def test_nothing_to_emit_costs_no_call(stub: Stub) -> None:
    assert Emits(stub("kinesis")[0], "requests").send([]) == []


def test_an_entry_that_fails_is_sent_again_alone_and_before_what_follows_it() -> None:
    wire, pauses = Wire([SLOW_DOWN, OK]), list[float]()
    assert emits(wire, pauses).send([emitted(1, "a", "b"), emitted(2, "a", "b")]) == []
    assert sorted(wire.stored) == ["1-0", "1-1", "2-0", "2-1"]
    assert wire.stored.index("1-0") < wire.stored.index("2-0")
    assert wire.stored.index("1-1") < wire.stored.index("2-1")
    assert len(pauses) == 1


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "AccessDeniedException", "InternalFailure"])
def test_what_is_refused_again_and_again_is_told_and_nothing_of_its_lane_passes_it(code: str) -> None:
    refused = [{"ErrorCode": code, "ErrorMessage": "no"}]
    wire, pauses = Wire(*[refused] * ROUNDS), list[float]()
    assert emits(wire, pauses, lanes=1).send([emitted(3, "a", "b"), emitted(4, "c")]) == places(3, 3, 4)
    assert (wire.stored, wire.calls) == ([], ROUNDS)
    assert 0 < sum(pauses) < 7


def test_another_lane_goes_on_meanwhile() -> None:
    wire = Wire([SLOW_DOWN, OK], *[[SLOW_DOWN]] * (2 * ROUNDS))
    # Once each lane has had its turn, the second's records go alone, as soon as they may.
    failed = emits(wire, []).send([emitted(1, "a"), emitted(2, "b")])
    assert (failed, wire.stored) == (places(1), ["2-0"])


def test_a_call_that_fails_is_made_again(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire(EndpointConnectionError(endpoint_url="somewhere"))
    with caplog.at_level(logging.WARNING):
        assert emits(wire, []).send([emitted(1, "a")]) == []
    assert wire.stored == ["1-0"]
    assert "cannot emit 1 records" in caplog.text


def test_an_answer_of_another_length_is_no_acknowledgement() -> None:
    wire = Wire([OK, OK])
    assert emits(wire, []).send([emitted(1, "a")]) == []
    assert (wire.stored, wire.calls) == (["1-0"], 2)


def test_a_service_that_is_refused_is_told(stub: Stub) -> None:
    kinesis, answers = stub("kinesis")
    for _ in range(ROUNDS):
        answers.add_client_error("put_records", "AccessDeniedException")
    assert emits(kinesis, []).send([emitted(7, "a"), emitted(8, "a")]) == places(7, 8)


def test_each_is_marked_with_a_time_before_it_was_first_sent() -> None:
    """That of its cause: by then no delivery has sent it, and one that is overtaken sends it behind another's."""
    keys: list[str] = []

    class Loses(Wire):
        def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
            keys.extend(one["PartitionKey"] for one in Records)
            return super().put_records(StreamName, Records)

    lost = EndpointConnectionError(endpoint_url="x")
    assert emits(Loses(lost), []).send([emitted(1, "a")._replace(since=1_764_000_000.125)]) == []
    assert [key.partition(" ")[2] for key in keys] == ["tried 1764000000125"] * 2


def test_a_request_that_no_other_caused_is_put_without_a_mark_unless_an_answer_was_lost() -> None:
    request = Request(id="i", cmd="c", key="k", writer="event/of", counter=1, data={})
    wire, pauses = Wire(), list[float]()
    assert emits(wire, pauses).put(request, 1000.0)
    assert (wire.stored, wire.tried) == (["i"], [None])
    lost = Wire(EndpointConnectionError(endpoint_url="http://nowhere"))
    sender = emits(lost, pauses)
    assert sender.put(request, 1000.0)
    assert (lost.tried, sender.sent) == ([1_000_000], 1)
    refused = Wire([SLOW_DOWN], EndpointConnectionError(endpoint_url="http://nowhere"))
    assert emits(refused, pauses).put(request, 1000.0)
    assert refused.tried == [1_000_000]


def test_a_request_that_is_never_acknowledged_is_told() -> None:
    wire = Wire(*[[SLOW_DOWN]] * ROUNDS)
    assert not emits(wire, []).put(Request(id="i", cmd="c", key="k", writer="event/of", counter=1, data={}), 0.0)
