"""Splits a batch into pieces: each is applied and answered, and the time checked, before the next begins.

Room: core. Pure. A usual batch is one piece, so that each key is written once. A larger one, such as a hundred thousand
requests of as many keys or clients, is several pieces in stream order: when the time is over, everything before some
position is done.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from tidemill.contract.claim_check import MAX_DATA_BYTES
from tidemill_consumers.core.batch import Arrival, Position, Unreadable

FEW = 5_000
"""This many arrivals are one piece, however many keys and clients they have, unless uploads divide them."""

MOST = 50_000
"""Arrivals of a piece, at most: more of the SDK's requests than a batch's 6 MB hold."""

MOST_UPLOADED = 8 * 1024 * 1024
"""Bytes of uploads that a piece reads, if it reads several: in memory, data takes up to 25 times its JSON's."""

MOST_KEYS = MOST_CLIENTS = 10_000
"""Entities that a piece reads and saves, and clients that it answers by one message each: some seconds' work."""


class Piece(NamedTuple):
    """Requests that are applied together.

    Attributes:
        arrivals: the requests.
        unreadable: the bytes that are no request, to be answered.
        refused: the bytes that are no request, to be stored first: those of each record that begins in this piece.
        rest: the position at which the batch goes on; None in the last piece.
    """

    arrivals: Sequence[Arrival]
    unreadable: Sequence[Unreadable]
    refused: Sequence[Unreadable]
    rest: Position | None


def pieces(arrivals: Sequence[Arrival], unreadable: Sequence[Unreadable], begin: Position | None) -> Iterator[Piece]:
    """The batch in pieces, beginning at the position that an earlier delivery reached; from the start if None."""
    if begin is not None:
        arrivals = arrivals[bisect_left(arrivals, begin, key=_arrived) :]
    first = begin
    refused = unreadable  # cut by whole records: one begun before has been stored
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


def is_one_piece(arrivals: Sequence[Arrival], unreadable: Sequence[Unreadable]) -> bool:
    """Whether a whole batch is one piece."""
    return _end(arrivals, unreadable) is None


def _end(arrivals: Sequence[Arrival], unreadable: Sequence[Unreadable]) -> Position | None:
    """The position at which the first piece of these ends; None if it has them all."""
    count = _with_uploads(arrivals, min(len(arrivals), MOST))
    while count > FEW and not _fits(arrivals[:count]):
        count //= 2
    ends = [arrivals[count].position] if count < len(arrivals) else []
    if len(unreadable) > MOST_CLIENTS:
        ends.append(unreadable[MOST_CLIENTS].position)
    return min(ends, default=None)


def _with_uploads(arrivals: Sequence[Arrival], most: int) -> int:
    """How many of the first arrivals may be one piece by the uploads that they refer to."""
    size = 0
    for place, one in enumerate(islice(arrivals, most)):
        ref = one.request.ref
        if ref is not None and ref.bytes <= MAX_DATA_BYTES:  # larger ones are not read
            size += ref.bytes
            if size > MOST_UPLOADED:
                return place
    return most


def _fits(arrivals: Sequence[Arrival]) -> bool:
    return (
        len({one.key for one in arrivals}) <= MOST_KEYS
        and len({one.request.client for one in arrivals}) <= MOST_CLIENTS
    )


_arrived: Callable[[Arrival], Position] = lambda one: one.position  # noqa: E731 - for bisect
_refused: Callable[[Unreadable], Position] = lambda one: one.position  # noqa: E731
_record: Callable[[Unreadable], Position] = lambda one: Position(one.position.sequence, 0)  # noqa: E731
