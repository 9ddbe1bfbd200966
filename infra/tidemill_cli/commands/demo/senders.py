"""The demo's sender: the SDK's producer, or a fleet of many.

Room: command line. tests/e2e/test_demo.py holds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tidemill import Producer, Request
from tidemill_bench.driver import ONCE
from tidemill_bench.fleet import Fleet
from tidemill_cli.producers import close
from tidemill_local.clients import ROOT_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill_load.workloads.scheduled_request import ScheduledRequest
    from tidemill_local.emulator import Emulator


class Sender(Protocol):
    """Sends the demo's requests."""

    @property
    def producers(self) -> int:
        """Producers that have sent."""

    @property
    def records(self) -> int:
        """Records acknowledged."""

    @property
    def put_calls(self) -> int:
        """PutRecords calls made."""

    def send(self, one: ScheduledRequest) -> Request:
        """Send it, in the background. Returns the request, with its id."""

    def flush(self, timeout: float) -> None:
        """Wait until all are acknowledged; StillPending when they are not within so many seconds."""

    def in_order(self, sent: Sequence[Request]) -> Sequence[Request]:
        """The acknowledged requests, those of a key in the order in which they stand on the stream."""

    def close(self) -> None:
        """End."""


def sender(emulator: Emulator, stream: str, producers: int) -> Sender:
    """A sender to a stream of the emulator, for so many producers."""
    kinesis = emulator.session(ROOT_KEY, ROOT_KEY).client("kinesis", ONCE)
    if producers == 1:
        return _One(Producer(stream, kinesis=kinesis))
    return _Many(Fleet(stream, kinesis, producers))


class _One:
    producers = 1

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    @property
    def records(self) -> int:
        return self._producer.stats().records

    @property
    def put_calls(self) -> int:
        return self._producer.stats().put_calls

    def send(self, one: ScheduledRequest) -> Request:
        handle = self._producer.send(one.cmd, key=one.key, data=one.data, client=one.client)
        return _request(handle.id, one)

    def flush(self, timeout: float) -> None:
        self._producer.flush(timeout)

    def in_order(self, sent: Sequence[Request]) -> Sequence[Request]:
        return sent  # one producer keeps it

    def close(self) -> None:
        close(self._producer)


class _Many:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    @property
    def producers(self) -> int:
        return self._fleet.producers

    @property
    def records(self) -> int:
        return self._fleet.records

    @property
    def put_calls(self) -> int:
        return self._fleet.put_calls

    def send(self, one: ScheduledRequest) -> Request:
        request_id, payload = self._fleet.write(one.cmd, key=one.key, data=one.data, client=one.client)
        self._fleet.send(request_id, payload, key=one.key, client=one.client)
        return _request(request_id, one)

    def flush(self, timeout: float) -> None:
        self._fleet.flush(timeout)
        self._fleet.check()

    def in_order(self, sent: Sequence[Request]) -> Sequence[Request]:
        by_id = {one.id: one for one in sent}
        return [by_id[one] for one in self._fleet.in_order()]

    def close(self) -> None:
        self._fleet.close()


def _request(request_id: str, one: ScheduledRequest) -> Request:
    return Request(id=request_id, cmd=one.cmd, key=one.key, client=one.client, data=one.data)
