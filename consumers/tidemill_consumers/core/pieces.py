"""A batch in pieces: each is applied, answered and done, and the clock looked at, before the next is begun.

Room: core. Pure. A usual batch is one piece, so that a key is written once for it. What is more than that, such as a
hundred thousand requests of as many keys or clients, is several, in the stream's order: so whatever is done when the
time is over is all that stands before some position.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tidemill_consumers.core.batch import Arrival, Position, Unreadable

FEW = 5_000
"""Arrivals that are one piece whatever they are."""

MOST = 50_000
"""Arrivals of a piece: more than the 6 MB of a batch hold of the SDK's requests."""

MOST_KEYS = MOST_CLIENTS = 10_000
"""Entities that a piece reads and saves, and clients that it answers, each by a message of its own: some seconds."""


class Piece(NamedTuple):
    """What is done together.

    Attributes:
        arrivals: the requests.
        unreadable: what is none, to be answered.
        refused: what is none, to be stored before: all of each record that begins in this piece.
        rest: where the batch goes on; None behind the last piece.
    """

    arrivals: Sequence[Arrival]
    unreadable: Sequence[Unreadable]
    refused: Sequence[Unreadable]
    rest: Position | None


def pieces(arrivals: Sequence[Arrival], unreadable: Sequence[Unreadable], begin: Position | None) -> Iterator[Piece]:
    """The batch in pieces, from a position on that another delivery came to; all of it where there is none."""
    if begin is not None:
        arrivals = arrivals[bisect_left(arrivals, begin, key=_arrived) :]
    first = begin
    refused = unreadable  # by records, of which one that was begun before has been stored
    while arrivals or unreadable:
        if first is not None:
            unreadable = unreadable[bisect_left(unreadable, first, key=_refused) :]
            refused = refused[bisect_left(refused, first, key=_record) :]
        rest = _end(arrivals, unreadable)
        if rest is None:
            if arrivals or unreadable:
                yield Piece(arrivals, unreadable, refused, None)
            return
        count = bisect_left(arrivals, rest, key=_arrived)
        some = unreadable[: bisect_left(unreadable, rest, key=_refused)]
        yield Piece(arrivals[:count], some, refused[: bisect_left(refused, rest, key=_record)], rest)
        arrivals, first = arrivals[count:], rest


def _end(arrivals: Sequence[Arrival], unreadable: Sequence[Unreadable]) -> Position | None:
    """Where the piece that begins with these ends; None where it has them all."""
    count = min(len(arrivals), MOST)
    while count > FEW and not _fits(arrivals[:count]):
        count //= 2
    ends = [arrivals[count].position] if count < len(arrivals) else []
    if len(unreadable) > MOST_CLIENTS:
        ends.append(unreadable[MOST_CLIENTS].position)
    return min(ends, default=None)


def _fits(arrivals: Sequence[Arrival]) -> bool:
    return (
        len({one.key for one in arrivals}) <= MOST_KEYS
        and len({one.request.client for one in arrivals}) <= MOST_CLIENTS
    )


_arrived: Callable[[Arrival], Position] = lambda one: one.position  # noqa: E731 - for bisect
_refused: Callable[[Unreadable], Position] = lambda one: one.position  # noqa: E731
_record: Callable[[Unreadable], Position] = lambda one: Position(one.position.sequence, 0)  # noqa: E731
