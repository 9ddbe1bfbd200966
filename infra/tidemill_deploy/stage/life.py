"""A stage's state and its name: whether what is deployed goes on with the one that is there, or begins another.

Room: the stage, pure.

A generation is one life of the state (docs/protocol.md, "The analytics stage"). Its totals must never go on under
another name, which would be counted twice, nor begin anew under the same name, which would be refused as lower ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill_stream.retention import OUTAGE_SECONDS
from tidemill_stream.settings import generation_name, periods_in

GENERATION, BEGIN, RESTORE = "AnalyticsGeneration", "AnalyticsBegin", "AnalyticsRestore"
"""The template's parameters that say so."""

GOES_ON, BEGINS_ANEW = "RESTORE_FROM_LATEST_SNAPSHOT", "SKIP_RESTORE_FROM_SNAPSHOT"
"""The values of the last of them, as the service has them."""

SHAPING = {"commands": "AnalyticsCommands", "stages": "AnalyticsStages", "horizon.seconds": "RepeatHorizonSeconds"}
"""The stage's properties that shape its state, and their parameters: with others it cannot go on."""

WINDOW_SECONDS = 10
"""The stage's window, as tidemill_stream has it where it is not told."""

SETTLED_SECONDS = 300
"""How long after a period's end the stage is given to write its last windows, which takes seconds unless it lags."""


@dataclass(frozen=True, slots=True)
class Found:
    """An application as it is.

    Attributes:
        status: as the service says, such as RUNNING, or READY for one that does not run.
        generation, begin: as it was deployed last.
        shape: its properties of SHAPING, in that order.
        snapshot: the time of its latest snapshot, in seconds since 1970; None if there is none.
        snapshot_generation: the generation whose state that is.
    """

    status: str
    generation: str = ""
    begin: str = "0"
    shape: tuple[str, ...] = ()
    snapshot: float | None = None
    snapshot_generation: str = ""


def life(found: Found | None, parameters: Mapping[str, str], now: float, token: str, *, anew: bool) -> dict[str, str]:
    """The parameters of the state with which the stage is to run.

    Args:
        found: the application; None if there is none yet.
        parameters: the template's, all of them.
        now: seconds since 1970.
        token: six letters or digits that no other generation of this second has.
        anew: whether to begin anew though there is a state.

    Raises:
        InvalidSettings: the periods cannot be read.
    """
    first = periods_in(parameters["AnalyticsPeriods"])[0][0]
    wanted = tuple(parameters[one] for one in SHAPING.values())
    if found and not anew and found.shape == wanted and _has_state(found, now):
        return {GENERATION: found.generation, BEGIN: found.begin, RESTORE: GOES_ON}
    # From the first period on, or from what the stream still has: what an earlier generation has brought is known by
    # its windows' numbers, and not applied again.
    begin = max(first, int(now) - 3600 * int(parameters["RetentionHours"]))
    return {GENERATION: generation_name(now, token), BEGIN: str(begin - begin % WINDOW_SECONDS), RESTORE: BEGINS_ANEW}


def _has_state(found: Found, now: float) -> bool:
    """Whether it has a state with which it can go on."""
    if not found.generation:
        return False
    if found.status == "RUNNING":
        return True
    # Repeats are forgotten by Flink's own clock: a state that stood still for an hour has none any more.
    is_fresh = found.snapshot is not None and now - found.snapshot < OUTAGE_SECONDS
    return is_fresh and found.snapshot_generation == found.generation


def is_counting(periods: str, now: float) -> bool:
    """Whether a time is in one of the periods.

    Raises:
        InvalidSettings: the periods cannot be read.
    """
    return any(begin <= now and (end is None or now < end) for begin, end in periods_in(periods))


def unfinished(found: Found, periods: str, now: float) -> str | None:
    """What the stage may not have counted yet, in words; None if it is done.

    Args:
        found: the application.
        periods: the parameter AnalyticsPeriods.
        now: seconds since 1970.

    Raises:
        InvalidSettings: the periods cannot be read.
    """
    end = periods_in(periods)[-1][1]
    if end is None:
        return f"its last period has no end ({periods}): end it some minutes ahead, AnalyticsPeriods={periods}SECONDS"
    if (left := end + SETTLED_SECONDS - now) > 0:
        return f"its last period ends at {end}: wait for {int(left) + 1} seconds, until it has written its last windows"
    if found.status == "RUNNING" or (found.snapshot or 0) >= end + SETTLED_SECONDS:
        return None
    return f"it is {found.status} and does not run: start it, so that it counts what was left to it"
