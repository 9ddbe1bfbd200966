"""A rule is asked: what it is given is its own, what it answers is taken over, what it raises is its request's fate.

Room: core. Pure. A rule is the application's code, and may be wrong in every way: it changes what it was given, keeps
what it returned and changes that later, raises anything, or does not come back. The document, the request and the
outcome that the plan goes on with share nothing with it that can be changed.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec.json import encode as to_json

from tidemill.contract.request import Json, Request
from tidemill_consumers.core.batch import Accepted, Arrival, Frame, Rejected, Rule, State
from tidemill_consumers.core.calling.blame import frames_of, place_of, place_of_rule
from tidemill_consumers.core.emits import follow_ups
from tidemill_consumers.core.item_limits import differs_in_numbers, unstorable

MAX_ANSWER_BYTES = 16 * 1024
"""Of a reply's data, as JSON, for it is kept as an outcome."""

MAX_SAID = 800
"""Characters of what a rule raised that stand in a reason, before the place."""

TICKS = 5
"""A rule is stopped at the fifth tick that finds it at work on the same request."""


class Stopped(BaseException):
    """Raised within a rule whose request is not to be applied. No rule should catch it; one that does gets it again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Watch:
    """Which arrival a rule is at work on, for whoever limits its time. An assignment is all that it costs a request."""

    __slots__ = ("_seen", "_ticks", "at_work")

    def __init__(self) -> None:
        self.at_work: Arrival | None = None
        """None: no rule is at work, and nothing may be raised."""
        self._seen: Arrival | None = None

    def tick(self) -> bool:
        """To be called at even intervals: whether the rule has had its time, which is between five of them and six."""
        if self.at_work is None or self.at_work is not self._seen:
            self._seen, self._ticks = self.at_work, 0
            return False
        self._ticks += 1
        return self._ticks >= TICKS


class Taken(msgspec.Struct, frozen=True, gc=False):
    """A rule's yes, taken over.

    Attributes:
        state: the document.
        is_flat: whether it is known to hold nothing that can be changed.
        answer: the reply's data.
        requests: the follow-up requests.
    """

    state: State
    is_flat: bool
    answer: Json = None
    requests: tuple[Request, ...] = ()


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Why a rule's request goes to the quarantine, and the traceback of what it raised, if it did."""

    reason: str
    trace: tuple[Frame, ...] = ()


RuleOutcome: TypeAlias = Taken | Rejected | Refused
"""What a rule answers."""


class _Unusable(Exception):
    """What the rule returned cannot be kept."""


def ask(rule: Rule, document: State, is_flat: bool, arrival: Arrival, emitted: int, watch: Watch) -> RuleOutcome:
    """A rule's outcome.

    `Stopped` may be raised in here, by a signal's handler, but in no frame of this very function: so wherever it is
    raised while a rule is at work, it ends here.

    Args:
        rule: the rule.
        document: the entity's, which stays as it is.
        is_flat: whether the document is known to hold no objects and lists.
        arrival: the request, which a rule may change, its frozen fields too: see `core.batch.fresh`.
        emitted: how many follow-up requests its entity has emitted before.
        watch: is told while the rule, or anything of it, is at work.
    """
    outcome: RuleOutcome
    try:
        watch.at_work = arrival
        try:
            given = document if document is None else document.copy() if is_flat else msgspec.to_builtins(document)
            outcome = _taken(rule(given, arrival.request), document, arrival, emitted)
        except BaseException as error:  # whatever it is, it is its request's fate and never the shard's
            outcome = _refused(error, rule)
        watch.at_work = None
    except Stopped as stopped:  # while the rule's exception said what it is
        watch.at_work = None
        outcome = _refused(stopped, rule)
    return outcome


def _taken(outcome: Accepted | Rejected, before: State, arrival: Arrival, emitted: int) -> Taken | Rejected:
    if isinstance(outcome, Accepted):
        state = outcome.state
        if type(state) is dict and before is not None:
            state = state.copy()
            if differs_in_numbers(state, before):
                if outcome.answer is None and not outcome.emits:
                    return Taken(state, is_flat=True)
                return Taken(state, True, _answer(outcome.answer), _requests(arrival, outcome, emitted))
        if state is not None and not isinstance(state, dict):
            raise _Unusable(f"the document cannot be stored: it is {_name(state)}, and must be a dict or None")
        state = _own(state, "the document cannot be stored")
        return Taken(state, state is None, _answer(outcome.answer), _requests(arrival, outcome, emitted))
    if isinstance(outcome, Rejected):
        return Rejected(_text(outcome.reason))
    raise _Unusable(f"the rule returned {_kind(outcome)}, which is neither Accepted(…) nor Rejected(…)")


def _own(value: Json, trouble: str) -> Json:
    """The value as plain JSON that nobody else has."""
    if problem := unstorable(value):
        raise _Unusable(f"{trouble}: {problem}")
    return msgspec.to_builtins(value)


def _answer(answer: Json) -> Json:
    if answer is None:
        return None
    own = _own(answer, "the answer cannot be kept")
    if (size := len(to_json(own))) > MAX_ANSWER_BYTES:
        raise _Unusable(f"the answer cannot be kept: {size} bytes; {MAX_ANSWER_BYTES} are the most")
    return own


def _requests(arrival: Arrival, outcome: Accepted, emitted: int) -> tuple[Request, ...]:
    if not outcome.emits:
        return ()
    if not hasattr(type(outcome.emits), "__iter__"):
        raise _Unusable(f"the rule's emits are {_name(outcome.emits)}, and must be a tuple of Emit")
    requests = follow_ups(arrival, outcome.emits, emitted)
    if isinstance(requests, str):
        raise _Unusable(f"the rule emits what cannot be sent: {requests}")
    return requests


def _text(reason: object) -> str:
    if type(reason) is str:
        return reason
    if isinstance(reason, str):
        return str.__str__(reason)  # without what a subclass makes of it
    raise _Unusable(f"the rule rejects for a reason that is {_name(reason)}, not text")


def _refused(fate: BaseException, rule: Rule) -> Refused:
    """Why the request goes to the quarantine, with where in the application's code that began."""
    if type(fate) is _Unusable:
        return Refused(_at(f"{fate}", place_of_rule(rule)))
    frames = frames_of(fate)
    if type(fate) is Stopped:
        return Refused(_at(fate.reason, place_of(frames)), frames)
    return Refused(_at(_said(fate), place_of(frames) or place_of_rule(rule)), frames)


def _said(fate: BaseException) -> str:
    name = _name(fate)
    try:
        return f"the rule raised {name}: {fate}"[:MAX_SAID]
    except Stopped:
        raise
    except BaseException:
        return f"the rule raised {name}, which cannot say why"


def _at(reason: str, place: str) -> str:
    return f"{reason} ({place})" if place else reason


def _kind(value: object) -> str:
    return "a class" if isinstance(value, type) else _name(value)


def _name(value: object) -> str:
    # Not `value.__class__`, which is whatever it says.
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name
