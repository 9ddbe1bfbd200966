"""The application's own rules, with a witness in each document: was every request applied once, and in order?

Room: bench, pure. `RULES` is a module of rules as any other, so it runs wherever rules run; in every mode the same.

A load test numbers the requests of each key in the order sent, from 1, as `data.serial`. The witness notes in the
document how many it has seen, their sum, the last, and how often one came behind a later one.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from tidemill.contract.request import Document, Request
from tidemill_consumers.core.batch import Accepted, Rejected, Rule, Rules, State, Verified
from tidemill_consumers.media import RULES as APPLICATION

SERIAL: Final = "serial"
"""In a request's data. The function that runs these rules has no load test beside it: see order_checker.py."""

FIELD: Final = "witness"
"""In the document."""


class OrderNote(msgspec.Struct, frozen=True):
    """What the witness of one key has seen.

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

    def of(self, serial: int) -> OrderNote:
        """With one more."""
        return OrderNote(self.seen + 1, self.sum + serial, serial, self.behind + (serial <= self.last))


def order_note(document: State) -> OrderNote:
    """What the document's witness has seen."""
    return msgspec.convert((document or {}).get(FIELD, {}), OrderNote)


_Outcome: TypeAlias = Accepted | Rejected


def _noting(rule: Rule) -> Rule:
    if isinstance(rule, Verified):
        return Verified(_noting(rule.rule))

    def noting(state: State, request: Request) -> _Outcome:
        serial = request.data.get(SERIAL)
        outcome = rule(_without(state), request)
        if isinstance(outcome, Rejected):
            return outcome
        before = order_note(state)
        seen = before.of(serial) if isinstance(serial, int) else before
        document: Document = outcome.state or {}
        return msgspec.structs.replace(outcome, state={**document, FIELD: msgspec.to_builtins(seen)})

    return noting


def _without(state: State) -> State:
    """What the rule would see without a witness."""
    return {name: value for name, value in (state or {}).items() if name != FIELD} or None


RULES: Rules = {cmd: _noting(rule) for cmd, rule in APPLICATION.items()}
