"""Finds the request whose rule ends the process: planned in a child process, it is condemned the second time.

Room: core. Pure: isolation/apart.py runs the processes and reports how they ended.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace as replaced
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from tidemill_consumers.core.batch import (
    GUARDS,
    Accepted,
    Aggregatable,
    Arrival,
    Position,
    Rejected,
    Rule,
    Rules,
    State,
    Write,
)
from tidemill_consumers.core.calling.asking import Stopped, Watch
from tidemill_consumers.core.folding.objects import weight_of

T = TypeVar("T")

MAX_DEATHS = 2
"""Processes that end at one request before it is condemned: the first may have ended for another reason."""

ENDED = "the rule ended the process"


class End(NamedTuple):
    """A process that ended before its work was done.

    Attributes:
        place: the place of the request that a rule was at work on; None if no rule was.
        reason: the request's reason in the quarantine.
    """

    place: Position | None
    reason: str = ENDED


class Elimination:
    """A batch's requests, with the state of the search.

    Once a request is condemned, its key is planned up to it and all other keys wait: the result must be saved soon,
    because the next such request may take all the remaining time.
    """

    def __init__(self, arrivals: Iterable[Arrival]) -> None:
        self._waiting: dict[str, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            self._waiting[arrival.key].append(arrival)
        self._wanted = list(self._waiting)
        self._deaths: Counter[Position | None] = Counter()
        self._cut: dict[str, Position] = {}
        self._planned: dict[str, Write] = {}
        self.condemned: dict[Position, str] = {}
        """The reasons of the condemned requests, by place."""
        self.stored = 0
        """The weight of the planned keys' objects."""
        self.is_hopeless = False
        """Whether processes end outside any rule, so that the search cannot find a request."""

    @property
    def is_begun(self) -> bool:
        """Whether at least one key is planned."""
        return bool(self._planned)

    @property
    def wanted(self) -> list[Arrival]:
        """The arrivals to plan next; empty once all that can be planned now are."""
        return [one for key in self._wanted for one in self._waiting[key] if one.position <= self._end_of(key)]

    def planned(self, write: Write) -> None:
        """Record that a key is planned."""
        key = write.key
        self._wanted.remove(key)
        beyond = [one.position for one in self._waiting.pop(key) if one.position > self._cut.get(key, one.position)]
        stopped = write.stopped or next(iter(beyond), None)
        self._planned[key] = replace(write, stopped=stopped)
        self.stored += weight_of(write.objects)

    def ended(self, end: End) -> None:
        """Record that the process ended before its work was done."""
        self._deaths[end.place] += 1
        if self._deaths[end.place] < MAX_DEATHS:
            return
        if end.place is None:
            self.is_hopeless = True
            return
        self.condemned[end.place] = end.reason
        key = next(key for key in self._wanted if any(one.position == end.place for one in self._waiting[key]))
        self._cut[key] = end.place
        self._wanted = [key]

    def writes(self) -> tuple[Write, ...]:
        """The plan's writes, and for each waiting key one that changes nothing."""
        return (*self._planned.values(), *(_untouched(key, of_key) for key, of_key in self._waiting.items()))

    def _end_of(self, key: str) -> Position:
        return self._cut.get(key) or self._waiting[key][-1].position


def _untouched(key: str, arrivals: Sequence[Arrival]) -> Write:
    first = arrivals[0].position
    return Write(key, 0, None, first, receipts=(), quarantine=(), stopped=first)


def noting(rules: Rules, watch: Watch, condemned: Mapping[Position, str], note: Callable[[Position], None]) -> Rules:
    """The rules, wrapped so that each notes its request's place before it runs, and stops at a condemned request."""

    def noted(rule: Rule) -> Rule:
        if isinstance(rule, Aggregatable):
            return replaced(rule, rule=noting_first(rule.rule))
        asked = noting_first(rule)
        return type(rule)(asked) if isinstance(rule, GUARDS) else asked

    def noting_first(rule: Callable[[State, T], Accepted | Rejected]) -> Callable[[State, T], Accepted | Rejected]:
        def asked(state: State, given: T) -> Accepted | Rejected:
            assert watch.at_work is not None, "a rule is asked about an arrival"  # noqa: S101
            place = watch.at_work.position
            if place in condemned:
                raise Stopped(condemned[place])
            note(place)
            return rule(state, given)

        asked.__dict__["__wrapped__"] = rule  # so that a reason names the rule itself
        return asked

    return {cmd: noted(rule) for cmd, rule in rules.items()}
