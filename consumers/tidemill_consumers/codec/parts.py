"""The unreadable parts of one record, as one quarantine object holds them.

Room: codec, no I/O. One record may hold a hundred thousand parts, so they are stored together as columns: a value that
many share, such as a key, is stored once. The object is about as large as its record in base64.
Tests: tests/consumers/tidemill_consumers/adapters/test_quarantine.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec

from tidemill_consumers.core.batch import Unreadable

T = TypeVar("T")

SHOWN = 3
"""Reasons that the object's summary names."""


class Part(NamedTuple):
    """One part: its place in the record, its partition key, why it is no request, and its bytes."""

    sub: int
    key: str
    reason: str
    payload: bytes


class Parts(msgspec.Struct, frozen=True):
    """Parts by column: the values at one index belong to one part.

    Attributes:
        sub: each part's place in the record.
        keys: the distinct partition keys.
        key: each part's key, as an index into `keys`.
        reasons: the distinct reasons.
        reason: each part's reason, as an index into `reasons`.
        payload: each part's bytes, as base64 in JSON.
    """

    sub: list[int]
    keys: list[str]
    key: list[int]
    reasons: list[str]
    reason: list[int]
    payload: list[bytes]

    def __len__(self) -> int:
        return len(self.sub)

    def __iter__(self) -> Iterator[Part]:
        """The parts, in order.

        Raises:
            IndexError, ValueError: the columns do not fit each other.
        """
        for sub, key, reason, payload in zip(self.sub, self.key, self.reason, self.payload, strict=True):
            yield Part(sub, self.keys[key], self.reasons[reason], payload)


def gathered(unreadable: Sequence[Unreadable]) -> Parts:
    """The parts of one record, in order."""
    keys, key = _distinct(one.key for one in unreadable)
    reasons, reason = _distinct(one.reason for one in unreadable)
    subs, payloads = [one.position.sub for one in unreadable], [one.payload for one in unreadable]
    return Parts(subs, keys, key, reasons, reason, payloads)


def summary(parts: Parts) -> str:
    """The number of parts and the reasons why they are no requests, as one text."""
    some = "; ".join(islice(parts.reasons, SHOWN))
    return f"{len(parts)} parts that are no requests: {some}{'; …' if len(parts.reasons) > SHOWN else ''}"


def _distinct(values: Iterable[T]) -> tuple[list[T], list[int]]:
    places: dict[T, int] = {}
    column = [places.setdefault(value, len(places)) for value in values]
    return list(places), column
