"""Decides which requests are left to the analytics stage, which adds them up before they are applied.

Room: core. Pure. docs/contract.md, "What the analytics stage takes", has the same rule for the stage.

The stage and the functions read the same stream and must agree on each request without talking to each other, so a
request itself says whose it is: by its command, its writer, its data and its arrival. The stage takes a request if all
of this holds:

- its command's rule is in `Aggregatable`, and its data has an amount that the rule takes;
- its data is in it: no upload is to be read;
- its writer is none of the application's own: how deep emits go is counted only where they are applied one by one;
- it arrived in a period of the stage. A re-send may be a repeat of a request that the stage counted in a period, so it
  is the stage's, too, if its first attempt may have come in one, and not before the stage would remember it.

A re-send that may be a repeat of what the stage counted longer ago than it remembers is `beyond` all that anybody can
tell: it is quarantined, unless its entity knows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import NamedTuple

from msgspec.structs import replace

from tidemill.contract.request import STAGE
from tidemill_consumers.core.batch import Aggregatable, Arrival, Rules
from tidemill_consumers.core.trust import OWN

NEVER_LEFT = (*OWN, STAGE)
"""Prefixes of the writers whose requests are not left to the stage."""

_PERIOD = re.compile(r"([0-9]{1,11})-([0-9]{0,11})", re.ASCII).fullmatch


class Period(NamedTuple):
    """A time of arrival, in seconds since 1970 by the stream's clock: from `begin` on, until before `end`."""

    begin: float
    end: float


def periods_in(setting: str) -> tuple[Period, ...]:
    """The periods of a setting such as `1764000000-1764003600,1764090000-`, of which the last may have no end.

    Raises:
        ValueError: it is not like that, or the periods are not one after another.
    """
    periods: list[Period] = []
    for text in setting.split(",") if setting else []:
        found = _PERIOD(text)
        if found is None:
            raise ValueError(f"the stage's periods are like 1764000000-1764003600,1764090000-, not {setting!r:.80}")
        periods.append(Period(float(found[1]), float(found[2] or inf)))
    times = [time for period in periods for time in period]
    if any(earlier >= later for earlier, later in pairwise(times)):
        raise ValueError(f"the stage's periods do not follow one another: {setting!r:.80}")
    return tuple(periods)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Which requests of a stream the stage takes; by default none.

    Attributes:
        stream: the name of the stream that the stage reads.
        periods: when the stage takes what arrives.
        horizon: seconds for which the stage remembers a request, to know a repeat of it.
        commands: the rules of the aggregatable commands.
    """

    stream: str = ""
    periods: tuple[Period, ...] = ()
    horizon: float = 0.0
    commands: Mapping[str, Aggregatable] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Rules, stream: str, periods: tuple[Period, ...], horizon: float) -> Leaving:
        """That of an application's rules."""
        commands = {cmd: rule for cmd, rule in rules.items() if isinstance(rule, Aggregatable)}
        return cls(stream, periods if commands else (), horizon, commands)

    def takes_all(self, arrivals: Sequence[Arrival]) -> bool:
        """Whether there are arrivals, and the stage takes all of them."""
        return len(arrivals) > 0 and all(map(self._takes, arrivals))

    def divided(self, arrivals: Sequence[Arrival]) -> tuple[Sequence[Arrival], Sequence[Arrival]]:
        """The arrivals that are left to the stage, and the others, of which some are marked as `beyond`."""
        if not self.periods:
            return (), arrivals
        left: list[Arrival] = []
        others: list[Arrival] = []
        for arrival in arrivals:
            if not self._may_take(arrival):
                others.append(arrival)
            elif self._remembers(arrival):
                left.append(arrival)
            else:
                others.append(replace(arrival, found="beyond"))
        return left, others

    def _takes(self, arrival: Arrival) -> bool:
        return self._may_take(arrival) and self._remembers(arrival)

    def _remembers(self, arrival: Arrival) -> bool:
        """Whether the stage would still know the request if it is a repeat."""
        return arrival.tried is None or arrival.arrived - arrival.tried <= self.horizon

    def _may_take(self, arrival: Arrival) -> bool:
        """Whether the stage takes the request, or may have counted it before."""
        request = arrival.request
        rule = self.commands.get(request.cmd)
        if rule is None or request.ref is not None or arrival.stream != self.stream:
            return False
        if request.writer is not None and request.writer.startswith(NEVER_LEFT):
            return False
        first = arrival.arrived if arrival.tried is None else min(arrival.tried, arrival.arrived)
        is_of_period = any(begin <= arrival.arrived and first < end for begin, end in self.periods)
        return is_of_period and rule.amount_of(request.data) is not None
