"""The application's own rules, which also note in each document whether requests were applied once, and in order.

Room: bench, pure. Any function that takes rules can run this module's `RULES`; they are the same in every mode.
Tests: tests/infra/tidemill_bench/test_order_checker.py.

A load test numbers the requests of each key in the order sent, from 1, as `data.serial`. The note in the document holds
how many requests were accepted, the sum of their numbers, the last number, and how often a number did not rise.

Requests of several writers reach a key in any order, and only each client's own must keep theirs. They have
`data.after`, the number of their client's previous request of the key, and the note holds which numbers came: all up to
one, and some beyond it. It has no answer that a request might be given, since answers stay in the items for a while.

A load test may have a request name how many objects of which size its rule returns (`data.objects`,
`data.object_bytes`). They are the request's own, and the document names those of its last request.
"""

from __future__ import annotations

from hashlib import shake_256
from typing import Final, TypeAlias

import msgspec

from tidemill.contract.request import Document, Request
from tidemill_consumers.core.batch import Accepted, Blob, Rejected, Rule, Rules, State, Verified, ref
from tidemill_consumers.media import RULES as APPLICATION

SERIAL: Final = "serial"
"""The field of a request's data that numbers it. Written again here: the function's zip has no load test in it."""

AFTER: Final = "after"
"""The field that has the number of the client's previous request of the key, 0 for none. Written again here, too."""

MAX_BEYOND: Final = 64
"""Requests of a key that may overtake one of another writer before that one counts as refused."""

OBJECTS: Final = "objects"
"""The field of a request's data that has the number of objects that its rule returns, and of the document's with their
names. Written again here, as is the next."""

OBJECT_BYTES: Final = "object_bytes"
"""The field that has their size."""

FIELD: Final = "witness"
"""The field of the document that holds the note."""


class OrderNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of the requests that were applied to one key.

    Attributes:
        seen: requests accepted.
        sum: of their serial numbers.
        last: the last one's.
        behind: how many came with a number at or below the one before; of several writers, before their predecessor.
        whole: of several writers: all numbers up to this came.
        beyond: and these, which are higher, rising; at most MAX_BEYOND.
    """

    seen: int = 0
    sum: int = 0
    last: int = 0
    behind: int = 0
    whole: int = 0
    beyond: list[int] = []

    def of(self, serial: int) -> OrderNote:
        """The note after one more accepted request."""
        behind = self.behind + (serial <= self.last)
        return OrderNote(self.seen + 1, self.sum + serial, last=serial, behind=behind)

    def of_several(self, serial: int, after: int) -> OrderNote:
        """The note after one more accepted request of several writers."""
        behind = self.behind + (after > self.whole and after not in self.beyond)
        whole, beyond = self.whole, sorted({*self.beyond, serial})
        while beyond and (beyond[0] <= whole + 1 or len(beyond) > MAX_BEYOND):  # what is missing then was refused
            whole = max(whole, beyond.pop(0))
        return OrderNote(self.seen + 1, self.sum + serial, behind=behind, whole=whole, beyond=beyond)


def order_note(document: State) -> OrderNote:
    """The note in the document; an empty one if there is none."""
    return msgspec.convert((document or {}).get(FIELD, {}), OrderNote)


_Outcome: TypeAlias = Accepted | Rejected


def _noting(rule: Rule) -> Rule:
    if isinstance(rule, Verified):
        return Verified(_noting(rule.rule))

    def noting(state: State, request: Request) -> _Outcome:
        serial, after = request.data.get(SERIAL), request.data.get(AFTER)
        outcome = rule(_without(state), request)
        if isinstance(outcome, Rejected):
            return outcome
        before = order_note(state)
        seen = before
        if isinstance(serial, int):
            seen = before.of_several(serial, after) if isinstance(after, int) else before.of(serial)
        blobs = _blobs(request)
        document: Document = {**(outcome.state or {}), FIELD: msgspec.to_builtins(seen)}
        if blobs:
            document[OBJECTS] = [ref(blob)["object"] for blob in blobs]
        return msgspec.structs.replace(outcome, state=document, objects=(*outcome.objects, *blobs))

    return noting


def _without(state: State) -> State:
    """The document without the note and the objects, as the application's rule expects it."""
    return {name: value for name, value in (state or {}).items() if name not in (FIELD, OBJECTS)} or None


def _blobs(request: Request) -> tuple[Blob, ...]:
    """The objects that a request asks for: of bytes that no other request's have, and the same at each delivery."""
    number, size = request.data.get(OBJECTS), request.data.get(OBJECT_BYTES)
    if not isinstance(number, int) or not isinstance(size, int):
        return ()
    return tuple(Blob(shake_256(f"{request.id}:{one}".encode()).digest(size)) for one in range(number))


RULES: Rules = {cmd: _noting(rule) for cmd, rule in APPLICATION.items()}
