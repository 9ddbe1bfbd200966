"""The application's own rules, with a witness in each document: was every request applied once, and in order?

Room: load, pure. `RULES` is a module of rules as any other, so it runs wherever rules run; in every mode the same.

A load test numbers the requests of each key in the order sent, from 1, as `data.serial`. The witness notes in the
document how many it has seen, their sum, the last, and how often one came behind a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from tidemill.request import Document, Request
from tidemill_consumers.core.batch import Accepted, Rejected, Rule, Rules, State, Verified
from tidemill_consumers.rules import RULES as APPLICATION

SERIAL, FIELD = "serial", "witness"
"""In a request's data, and in the document."""


class Testimony(msgspec.Struct, frozen=True):
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

    def of(self, serial: int) -> Testimony:
        """With one more."""
        return Testimony(self.seen + 1, self.sum + serial, serial, self.behind + (serial <= self.last))


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent for one key, and what was answered.

    Attributes:
        accepted: the serial numbers answered with "accepted".
        unanswered: how many nobody answered.
    """

    accepted: tuple[int, ...] = ()
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """What went wrong; none of it should.

    Attributes:
        lost: without an answer, or accepted without effect.
        duplicates: effects beyond one per request.
        reordered: applied behind a later one of its key.
    """

    lost: int = 0
    duplicates: int = 0
    reordered: int = 0

    def plus(self, other: Faults) -> Faults:
        """Both together."""
        return Faults(self.lost + other.lost, self.duplicates + other.duplicates, self.reordered + other.reordered)


def faults(sent: Sent, document: State) -> Faults:
    """What the witness says to what was sent for its key."""
    seen = testimony(document)
    accepted = len(sent.accepted)
    # One that nobody answered may have been applied, or not.
    duplicates = max(0, seen.seen - accepted - sent.unanswered)
    lost = max(0, accepted - seen.seen)
    if not sent.unanswered and seen.seen == accepted and seen.sum != sum(sent.accepted):
        lost, duplicates = 1, 1  # one is missing and another counts twice; at least
    return Faults(lost + sent.unanswered, duplicates, max(0, seen.behind - duplicates))


def testimony(document: State) -> Testimony:
    """What the document's witness has seen."""
    return msgspec.convert((document or {}).get(FIELD, {}), Testimony)


_Outcome: TypeAlias = Accepted | Rejected


def _witnessed(rule: Rule) -> Rule:
    if isinstance(rule, Verified):
        return Verified(_witnessed(rule.rule))

    def witnessed(state: State, request: Request) -> _Outcome:
        serial = request.data.get(SERIAL)
        outcome = rule(_without(state), request)
        if isinstance(outcome, Rejected):
            return outcome
        before = testimony(state)
        seen = before.of(serial) if isinstance(serial, int) else before
        document: Document = outcome.state or {}
        return msgspec.structs.replace(outcome, state={**document, FIELD: msgspec.to_builtins(seen)})

    return witnessed


def _without(state: State) -> State:
    """What the rule would see without a witness."""
    return {name: value for name, value in (state or {}).items() if name != FIELD} or None


RULES: Rules = {cmd: _witnessed(rule) for cmd, rule in APPLICATION.items()}
