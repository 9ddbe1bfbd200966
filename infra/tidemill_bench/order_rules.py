"""The application's own rules, which also note in each document whether requests were applied once, and in order.

Room: bench, pure. Any function that takes rules can run this module's `RULES`; they are the same in every mode.
Tests: tests/infra/tidemill_bench/test_order_checker.py.

A load test numbers the requests of each key in the order sent, from 1, as `data.serial`. The note in the document holds
how many requests were accepted, the sum of their numbers, the last number, and how often a number did not rise.

Requests of several writers reach a key in any order, and only each writer's own must keep theirs. They have
`data.place`: the answer to such a request is its place among the key's, from 1, and the load test compares places for
each writer.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from tidemill.contract.request import Document, Request
from tidemill_consumers.core.batch import Accepted, Rejected, Rule, Rules, State, Verified
from tidemill_consumers.media import RULES as APPLICATION

SERIAL: Final = "serial"
"""The field of a request's data that numbers it. Written again here: the function's zip has no load test in it."""

PLACE: Final = "place"
"""In a request's data: whether it asks for its place; in its answer, the place. Written again here, too."""

FIELD: Final = "witness"
"""The field of the document that holds the note."""


class OrderNote(msgspec.Struct, frozen=True):
    """Counts of the requests that were applied to one key.

    Attributes:
        seen: requests accepted.
        sum: of their serial numbers.
        last: the last one's.
        behind: how many came with a number at or below the one before.
    """

    seen: int = 0
    sum: int = 0
    last: int = 0
    behind: int = 0

    def of(self, serial: int, is_placed: bool = False) -> OrderNote:
        """The note after one more accepted request. `is_placed`: its order is judged by its place."""
        is_behind = serial <= self.last and not is_placed
        return OrderNote(self.seen + 1, self.sum + serial, serial, self.behind + is_behind)


def order_note(document: State) -> OrderNote:
    """The note in the document; an empty one if there is none."""
    return msgspec.convert((document or {}).get(FIELD, {}), OrderNote)


_Outcome: TypeAlias = Accepted | Rejected


def _noting(rule: Rule) -> Rule:
    if isinstance(rule, Verified):
        return Verified(_noting(rule.rule))

    def noting(state: State, request: Request) -> _Outcome:
        serial, is_placed = request.data.get(SERIAL), request.data.get(PLACE) is True
        outcome = rule(_without(state), request)
        if isinstance(outcome, Rejected):
            return outcome
        before = order_note(state)
        seen = before.of(serial, is_placed) if isinstance(serial, int) else before
        document: Document = outcome.state or {}
        answer = {PLACE: seen.seen} if is_placed and outcome.answer is None else outcome.answer
        return msgspec.structs.replace(outcome, state={**document, FIELD: msgspec.to_builtins(seen)}, answer=answer)

    return noting


def _without(state: State) -> State:
    """The document without the note, as the application's rule expects it."""
    return {name: value for name, value in (state or {}).items() if name != FIELD} or None


RULES: Rules = {cmd: _noting(rule) for cmd, rule in APPLICATION.items()}
