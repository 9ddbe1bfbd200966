"""A request that nobody can apply: quarantined, found, put back as `tidemill redrive` does, and quarantined again.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Collection, Iterator

from tidemill.contract.request import Request
from tidemill_cli.commands.redrive.place import Place, place_of
from tidemill_cli.commands.redrive.put_back import put_back_silently
from tidemill_cli.commands.smoke.failures import StepFailed
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.subject import PREFIX, UnderTest
from tidemill_cli.commands.smoke.ways_in import put
from tidemill_cli.producers import kinesis_of_producer
from tidemill_consumers.adapters.quarantine import PREFIX as QUARANTINE
from tidemill_consumers.operations.redrive import DONE_PREFIX, Found, Wanted

COMMAND = f"{PREFIX}unknown"
"""A command that no application has."""

WHAT = "unknown"
"""The end of the request's key and id."""

LOOK_SECONDS = 1.0
"""Between two looks."""


def to_and_fro(stack: UnderTest, hearing: Hearing) -> str:
    """An unknown command: answered, listed, put back, and answered and listed once more."""
    hearing.begin()
    request = stack.request(WHAT, COMMAND)
    put(stack, request)
    _answered(hearing, request)
    place = quarantine_of(stack)
    first = _found(stack, place, request, ())
    kinesis = kinesis_of_producer(place.access)
    (became,) = put_back_silently(place.objects, place.stream, kinesis, [first])
    if became.outcome != "redriven":
        raise StepFailed(f"{first.object_key} is {became.outcome}: {became.problem}")
    stack.put_back.add(first.object_key)
    _answered(hearing, request)
    _found(stack, place, request, {first.object_key})
    return "an unknown command, answered and listed, put back, answered and listed again"


def quarantine_of(stack: UnderTest) -> Place:
    """The quarantine as `tidemill redrive --stack` finds it."""
    return place_of(Namespace(stack=stack.named, bucket=None, stream=None, apply=True))


def objects_of(stack: UnderTest, place: Place) -> Iterator[Found | None]:
    """The objects of this run's request, and None for each other that was looked at."""
    since = stack.begun - 60  # by the stream's clock, which is not the one that `begun` is of
    key = f"{stack.run}/{WHAT}"
    for found in place.objects.find(Wanted(key=key, since=since)):
        yield found if found and found.kept and found.kept.key == key else None


def done_name(object_key: str) -> str:
    """The name of an object once its request was put back."""
    return DONE_PREFIX + object_key.removeprefix(QUARANTINE)


def _answered(hearing: Hearing, request: Request) -> None:
    reply = hearing.wait(request.id, str(request.key))
    if reply.status != "quarantined":
        raise StepFailed(f"{request.cmd} is {reply.status} rather than quarantined")


def _found(stack: UnderTest, place: Place, request: Request, known: Collection[str]) -> Found:
    """The request's object, which is none of those that are known."""
    deadline = time.monotonic() + stack.patience
    while True:
        for one in objects_of(stack, place):
            if one and one.kept and one.kept.id == request.id and one.object_key not in known:
                return one
            if time.monotonic() > deadline:
                break
        if time.monotonic() > deadline:
            raise StepFailed(f"{request.id} is quarantined, says its reply, and not found in {place.bucket}")
        time.sleep(LOOK_SECONDS)
