"""A fleet against a stream that does as it is told: what stands on it, and what is told of what was given up."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tidemill.contract.aggregation import unpack
from tidemill.contract.request import Request, decode
from tidemill.errors import GivenUp, StillPending
from tidemill_bench.fleet import Fleet, FleetSender
from tidemill_load.results.request_tracker import RequestTracker
from tidemill_load.workloads.scheduled_request import ScheduledRequest


class Kinesis:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.records: list[list[Request]] = []
        self.calls: list[int] = []
        self.refuses = False
        self.answers = threading.Event()
        self.answers.set()
        self.meta = SimpleNamespace(region_name="us-east-1", events=None)
        self._lock = threading.Lock()

    def describe_stream_summary(self, **_: Any) -> dict[str, Any]:
        return {"StreamDescriptionSummary": {}}

    def put_records(self, *, Records: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        self.answers.wait(30)
        if self.refuses:
            error: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise ClientError(error | {"ResponseMetadata": {"HTTPStatusCode": 400}}, "PutRecords")
        with self._lock:
            self.calls.append(len(Records))
            entries = []
            for one in Records:
                self.records.append([decode(part.data) for part in unpack(one["Data"])])
                entries.append({"ShardId": "shardId-000000000000", "SequenceNumber": str(len(self.records))})
        return {"Records": entries}


@contextmanager
def fleet(kinesis: Any, producers: int) -> Iterator[Fleet]:
    made = Fleet("s", kinesis, producers)
    try:
        yield made
    finally:
        made.close()


def send(sender: Fleet, client: str, key: str = "k") -> str:
    request_id, payload = sender.write("content.view", key=key, data={}, client=client)
    sender.send(request_id, payload, key=key, client=client)
    return request_id


def test_each_producer_is_a_writer_with_counters_and_records_of_its_own() -> None:
    kinesis = Kinesis()
    with fleet(kinesis, 1_000) as sender:
        sent = [send(sender, f"c{n % 1_000}", f"k{n % 7}") for n in range(3_000)]
        sender.flush(30)
        assert (sender.producers, sender.records, sender.put_calls) == (1_000, len(kinesis.records), len(kinesis.calls))
        ids = [one.id for record in kinesis.records for one in record]
        assert sorted(ids) == sorted(sent)
        assert sender.in_order() == ids, "as they stand on the stream"
    assert all(len({(one.writer, one.client) for one in record}) == 1 for record in kinesis.records)
    assert len({record[0].writer for record in kinesis.records}) == 1_000
    counters: defaultdict[str, list[int]] = defaultdict(list)
    for record in kinesis.records:
        for one in record:
            counters[one.writer or ""].append(one.counter or 0)
    assert all(sorted(its) == [1, 2, 3] for its in counters.values())
    assert max(kinesis.calls) > 100, "producers share calls, not connections"
    assert max(kinesis.calls) <= 500
    assert threading.active_count() < 20


def test_what_is_given_up_is_told_once() -> None:
    kinesis = Kinesis()
    kinesis.refuses = True
    tracker = RequestTracker("t", several=True)
    with fleet(kinesis, 10) as own:
        sender = FleetSender(tracker, own)
        for n in range(20):
            sender.send(tracker.item(ScheduledRequest(0.0, "content.view", f"k{n}", f"c{n}", {}), 0.0))
        assert sender.finish(30)
        assert sender.finish(1)
        with pytest.raises(GivenUp, match="AccessDenied"):
            own.check()
    assert (tracker.errors, tracker.settled) == (20, 20)
    assert [count for _, count in tracker.problems.most_common()] == [20]


def test_a_stream_that_does_not_answer_is_not_waited_for_longer_than_asked() -> None:
    kinesis = Kinesis()
    kinesis.answers.clear()
    with fleet(kinesis, 2) as sender:
        first = send(sender, "a")
        with pytest.raises(StillPending):
            sender.flush(0.05)
        kinesis.answers.set()
        sender.flush(30)
        sender.check()
        assert sender.in_order() == [first]
