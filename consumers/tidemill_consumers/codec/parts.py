"""The parts of one record that are no requests, as they lie in the quarantine together.

Room: codec, no I/O. One record may hold a hundred thousand of them, so they are one object and columns: what many of
them share, such as a key, stands there once. So the object is about as large as base64 makes its record.
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
"""Reasons that the object's own one names."""


class Part(NamedTuple):
    """One of them: its place in the record, its partition key, why it is no request, and its bytes."""

    sub: int
    key: str
    reason: str
    payload: bytes


class Parts(msgspec.Struct, frozen=True):
    """Parts by column: those of one place in the columns belong together.

    Attributes:
        sub: each part's place in the record.
        keys: the distinct partition keys.
        key: each part's, as a place in `keys`.
        reasons: the distinct reasons.
        reason: each part's, as a place in `reasons`.
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
        """The parts, in their order.

        Raises:
            IndexError, ValueError: the columns do not belong together.
        """
        for sub, key, reason, payload in zip(self.sub, self.key, self.reason, self.payload, strict=True):
            yield Part(sub, self.keys[key], self.reasons[reason], payload)


def gathered(unreadable: Sequence[Unreadable]) -> Parts:
    """Parts of one record, in their order."""
    keys, key = _distinct(one.key for one in unreadable)
    reasons, reason = _distinct(one.reason for one in unreadable)
    subs, payloads = [one.position.sub for one in unreadable], [one.payload for one in unreadable]
    return Parts(subs, keys, key, reasons, reason, payloads)


def summary(parts: Parts) -> str:
    """How many parts there are and why they are no requests, as one reason."""
    some = "; ".join(islice(parts.reasons, SHOWN))
    return f"{len(parts)} parts that are no requests: {some}{'; …' if len(parts.reasons) > SHOWN else ''}"


def _distinct(values: Iterable[T]) -> tuple[list[T], list[int]]:
    places: dict[T, int] = {}
    column = [places.setdefault(value, len(places)) for value in values]
    return list(places), column
