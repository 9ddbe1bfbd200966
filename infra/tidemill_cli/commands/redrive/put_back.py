"""Putting objects of the quarantine back on the stream, by the SDK's producer.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_redrive.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tidemill import GivenUp, Producer, StillPending
from tidemill_cli.commands.redrive.place import Place
from tidemill_cli.producers import close, kinesis_of_producer
from tidemill_cli.terminal_text import progress
from tidemill_consumers.operations.redrive import Found, Objects, Put, Redriven, Wait, redrive

if TYPE_CHECKING:
    from tidemill.contract.request import Request

PATIENCE = 60.0
"""Seconds that a request may take to get onto the stream."""


def put_back(place: Place, found: Sequence[Found]) -> Iterator[Redriven]:
    """Put the objects back, in this order, and tell how far it is; yields the outcome of each."""
    outcomes = put_back_silently(place.objects, place.stream, kinesis_of_producer(place.access), found)
    with progress("…", otherwise=lambda _: None) as tell:
        for number, one in enumerate(outcomes, 1):
            tell(f"{number:,} of {len(found):,} put back")
            yield one


def put_back_silently(objects: Objects, stream: str, kinesis: Any, found: Sequence[Found]) -> Iterator[Redriven]:
    """Put the objects back, in this order; yields the outcome of each.

    Args:
        objects: of the quarantine.
        stream: the stream's name.
        kinesis: a boto3 client as a Producer needs it.
        found: those to put back.
    """
    producer = Producer(stream, kinesis=kinesis)
    try:
        yield from redrive(objects, found, _put(producer))
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
