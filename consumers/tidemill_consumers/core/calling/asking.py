"""Asks a rule: gives it copies, copies its answer, and turns anything that it raises into a reason for quarantine.

Room: core. Pure. A rule is the application's code, and may be wrong in every way: it may change its arguments, change
later what it returned, raise anything, or not return. So the document, the request and the outcome that the plan goes
on with share no mutable object with the rule.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec.json import encode as to_json

from tidemill.contract.request import Json, Request
from tidemill_consumers.core.batch import Accepted, Arrival, Frame, Object, Rejected, Rule, State
from tidemill_consumers.core.calling.blame import frames_of, place_of, place_of_rule
from tidemill_consumers.core.calling.objects import objects_of
from tidemill_consumers.core.emits import follow_ups
from tidemill_consumers.core.item_limits import differs_in_numbers, packed_fast, why_not

MAX_ANSWER_BYTES = 16 * 1024
"""Limit for a reply's data as JSON, because it is kept as an outcome."""

MAX_SAID = 800
"""Characters of a rule's exception that a reason shows, before the place."""

TICKS = 5
"""A rule is stopped at the fifth tick that finds it still at work on a request."""


_CONTAINERS = frozenset({dict, list})

_unpack = msgspec.msgpack.Decoder().decode


class Stopped(BaseException):
    """Raised within a rule to end it; its request is not applied. A rule that catches it is stopped again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Watch:
    """Tells the code that limits a rule's time which arrival the rule is at work on. Its cost is one assignment."""

    __slots__ = ("_seen", "_ticks", "at_work")

    def __init__(self) -> None:
        self.at_work: Arrival | None = None
        """None: no rule is at work, and nothing may be raised."""
        self._seen: Arrival | None = None

    def tick(self) -> bool:
        """To be called at even intervals; whether the rule has used up its time, which is five to six intervals."""
        if self.at_work is None or self.at_work is not self._seen:
            self._seen, self._ticks = self.at_work, 0
            return False
        self._ticks += 1
        return self._ticks >= TICKS


class Taken(msgspec.Struct, frozen=True, gc=False):
    """A rule's yes, copied.

    Attributes:
        state: the document.
        is_flat: whether it is known to hold no mutable values.
        answer: the reply's data.
        requests: the follow-up requests.
        packed: the document as MessagePack; empty if it is flat, or unusual.
        objects: the objects to store.
    """

    state: State
    is_flat: bool
    answer: Json = None
    requests: tuple[Request, ...] = ()
    packed: bytes = b""
    objects: tuple[Object, ...] = ()


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Why a rule's request goes to the quarantine, with the traceback if the rule raised."""

    reason: str
    trace: tuple[Frame, ...] = ()


RuleOutcome: TypeAlias = Taken | Rejected | Refused
"""The outcome of asking a rule."""


class _Unusable(Exception):
    """The rule's return value cannot be kept."""


def ask(
    rule: Rule,
    document: State,
    is_flat: bool,
    arrival: Arrival,
    emitted: int,
    watch: Watch,
    *,
    may_lend: bool = False,
) -> RuleOutcome:
    """A rule's outcome.

    A signal handler may raise `Stopped` in the functions called here, but never in the frame of `ask` itself, so this
    function always catches it.

    Args:
        rule: the rule.
        document: the entity's document, which stays as it is unless it is lent.
        is_flat: whether the document is known to hold no objects or lists.
        arrival: the request; a rule may change it, even its frozen fields: see `core.batch.fresh`.
        emitted: how many follow-up requests its entity has emitted before.
        watch: is told while the rule, or anything of it, is at work.
        may_lend: whether the rule may be given the document itself, which must not be used after that.
    """
    outcome: RuleOutcome
    try:
        watch.at_work = arrival
        try:
            if document is None:
                outcome = _taken(rule(None, arrival.request), None, arrival, emitted)
            elif is_flat or _CONTAINERS.isdisjoint(map(type, document.values())):
                outcome = _taken(rule(document.copy(), arrival.request), document, arrival, emitted)
            else:
                given = document if may_lend else msgspec.to_builtins(document)
                outcome = _taken(rule(given, arrival.request), None, arrival, emitted)
        except BaseException as error:  # no exception of a rule may stop the shard
            outcome = _refused(error, rule)
        watch.at_work = None
    except Stopped as stopped:  # raised while the rule's exception was turned into text
        watch.at_work = None
        outcome = _refused(stopped, rule)
    return outcome


def _taken(outcome: Accepted | Rejected, before: State, arrival: Arrival, emitted: int) -> Taken | Rejected:
    """The rule's outcome, copied; `before` is the document if that is flat, which a counting rule leaves so."""
    if isinstance(outcome, Accepted):
        state, packed = outcome.state, b""
        is_flat = state is None
        if before is not None and type(state) is dict:
            state = state.copy()
            is_flat = differs_in_numbers(state, before)
        if not is_flat:
            if not isinstance(state, dict):
                raise _Unusable(f"the document cannot be stored: it is {_name(state)}, and must be a dict or None")
            packed = packed_fast(state) or _unusual(state, "the document cannot be stored")
            state = msgspec.to_builtins(state)
        if outcome.answer is None and not outcome.emits and not outcome.objects:
            return Taken(state, is_flat, None, (), packed)
        answer, requests = _answer(outcome.answer), _requests(arrival, outcome, emitted)
        return Taken(state, is_flat, answer, requests, packed, _objects(outcome, state))
    if isinstance(outcome, Rejected):
        return Rejected(_text(outcome.reason))
    raise _Unusable(f"the rule returned {_kind(outcome)}, which is neither Accepted(…) nor Rejected(…)")


def unpacked(packed: bytes) -> State:
    """The document that `Taken.packed` has."""
    document: State = _unpack(packed)
    return document


def _unusual(value: Json, trouble: str) -> bytes:
    """Look at an unusual value exactly; nothing, if it can be stored."""
    if problem := why_not(value):
        raise _Unusable(f"{trouble}: {problem}")
    return b""


def _answer(answer: Json) -> Json:
    if answer is None:
        return None
    if packed_fast(answer) is None:
        _unusual(answer, "the answer cannot be kept")
    own = msgspec.to_builtins(answer)
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


def _objects(outcome: Accepted, state: State) -> tuple[Object, ...]:
    if not outcome.objects:
        return ()
    if not hasattr(type(outcome.objects), "__iter__"):
        raise _Unusable(f"the rule's objects are {_name(outcome.objects)}, and must be a tuple of Blob")
    objects = objects_of(outcome.objects, state)
    if isinstance(objects, str):
        raise _Unusable(f"the rule returns what cannot be stored: {objects}")
    return objects


def _text(reason: object) -> str:
    if type(reason) is str:
        return reason
    if isinstance(reason, str):
        return str.__str__(reason)  # ignores a subclass's overrides
    raise _Unusable(f"the rule rejects for a reason that is {_name(reason)}, not text")


def _refused(fate: BaseException, rule: Rule) -> Refused:
    """Why the request goes to the quarantine, with the place in the application's code."""
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
    # Not `value.__class__`, which an object may override.
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name
