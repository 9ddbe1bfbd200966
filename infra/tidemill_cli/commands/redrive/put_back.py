"""Putting objects of the quarantine back on the stream, by the SDK's producer.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_redrive.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tidemill import GivenUp, Producer, StillPending
from tidemill_cli.commands.redrive.place import Place
from tidemill_cli.producers import close, kinesis_of_producer
from tidemill_cli.terminal_text import progress
from tidemill_consumers.operations.redrive import Found, Put, Redriven, Wait, redrive

if TYPE_CHECKING:
    from tidemill.contract.request import Request

PATIENCE = 60.0
"""Seconds that a request may take to get onto the stream."""


def put_back(place: Place, found: Sequence[Found]) -> Iterator[Redriven]:
    """Put the objects back, in this order; yields the outcome of each."""
    producer = Producer(place.stream, kinesis=kinesis_of_producer(place.access))
    try:
        with progress("…", otherwise=lambda _: None) as tell:
            for number, one in enumerate(redrive(place.objects, found, _put(producer)), 1):
                tell(f"{number:,} of {len(found):,} put back")
                yield one
    finally:
        close(producer)


def _put(producer: Producer) -> Put:
    def put(request: Request) -> Wait:
        handle = producer.put(request)

        def wait() -> str | None:
            try:
                handle.result(PATIENCE)
            except StillPending:
                return f"not acknowledged within {PATIENCE:.0f} s"
            except GivenUp as error:
                return str(error)
            return None

        return wait

    return put
