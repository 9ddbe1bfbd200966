"""Decides how a job begins: from a checkpoint, as the generation that it was, or without state, as a new one.

Room: command line. Pure; docs/protocol.md, "The analytics stage", says what a generation must hold to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill_stream import InvalidSettings

MAY_DIFFER = {"periods", "begin", "generation"}
"""Properties that a job may be given anew and still go on from its checkpoint: no state is shaped by them."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a state folder has of the last job.

    Attributes:
        properties: its runtime properties.
        checkpoint: its newest whole checkpoint, if it has one.
        age: seconds since that checkpoint.
    """

    properties: Mapping[str, str]
    checkpoint: str | None
    age: float


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a job begins.

    Attributes:
        properties: its runtime properties.
        checkpoint: from where it goes on; None: without state.
        why: why it does not go on, if there was something to go on from.
    """

    properties: Mapping[str, str]
    checkpoint: str | None = None
    why: str = ""


def begin_of(periods: tuple[tuple[int, int | None], ...], window: int) -> int:
    """Where a generation's first window begins by default: the one in which the first period begins."""
    return periods[0][0] // window * window


def beginning(
    wanted: Mapping[str, str], kept: Kept | None, named: str | None, new: str, longest_outage: float
) -> Beginning:
    """How a job begins.

    Args:
        wanted: its properties, but the generation.
        kept: what the state folder has.
        named: the generation that the user names.
        new: the name of a new generation.
        longest_outage: seconds for which a checkpoint still knows repeats.

    Raises:
        InvalidSettings: the named generation is earlier than the last one.
    """
    anew = {**wanted, "generation": named or new}
    if kept is None:
        return Beginning(anew)
    last = kept.properties["generation"]
    if named is not None and named < last:
        raise InvalidSettings(
            f"generation: {named} is earlier than the last one, {last}; its totals would be passed over"
        )
    why = _why_not(wanted, kept, longest_outage) if named in (None, last) else "another generation is named"
    if not why:
        begin = kept.properties["begin"]
        return Beginning({**wanted, "generation": last, "begin": begin}, kept.checkpoint)
    if anew["generation"] <= last:
        raise InvalidSettings(f"generation: {last} cannot go on ({why}); name a later one, or none")
    return Beginning(anew, None, why)


def _why_not(wanted: Mapping[str, str], kept: Kept, longest_outage: float) -> str:
    """Why a job cannot go on from the last one's checkpoint; empty if it can."""
    if kept.checkpoint is None:
        return "the last job left no checkpoint"
    names = (set(wanted) | set(kept.properties)) - MAY_DIFFER
    changed = sorted(one for one in names if wanted.get(one) != kept.properties.get(one))
    if changed:
        return f"it is another job now: {', '.join(changed)}"
    if kept.age > longest_outage:
        return f"its checkpoint is {kept.age / 60:,.0f} minutes old and has forgotten repeats"
    return ""
