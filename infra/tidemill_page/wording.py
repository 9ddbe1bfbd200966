"""The figures in words, and the last minutes as lines: all that the page shows, and no HTML.

Room: page, pure. Texts that come from clients are made safe to look at here: the page itself takes every text for text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tidemill_page.figures import Figures, QuarantinedObject, ShardFigures

UNKNOWN: Final = "\N{EN DASH}"

LONGEST, LONGEST_NAME = 160, 64
"""Characters of a text from a client that are shown, and of a command, a key or an id."""

MOST_SHARDS: Final = 50

WIDTH, HEIGHT = 100.0, 24.0
"""Of a line of the last minutes, in its own units."""

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what steers instead of being seen: control characters, marks of direction, line ends."""

_SOURCES = {"local": "this machine", "cloudwatch": "AWS, by CloudWatch: some minutes late"}


def shown(figures: Figures) -> dict[str, Any]:
    """What the page shows: `texts` and `lines` by the ids of the page's elements, and the rows of both tables."""
    return {
        "texts": texts(figures),
        "lines": lines(figures),
        "shards": [_shard(one) for one in figures.shards[:MOST_SHARDS]],
        "quarantined": [_quarantined(one) for one in figures.newest_quarantined],
    }


def texts(figures: Figures) -> dict[str, str]:
    """Each figure in words."""
    units = figures.write_units is not None
    hidden = len(figures.shards) - MOST_SHARDS
    return {
        "headline": _headline(figures),
        "source": f"{_SOURCES[figures.source]}; totals since {clock(figures.since)}, now {clock(figures.at)} UTC",
        "state": _state(figures),
        "requests_per_second": rate(figures.requests_per_second),
        "requests": whole(figures.requests),
        "lag": duration(figures.lag_ms),
        "waiting": whole(figures.waiting),
        "saved": whole(figures.saved),
        "saved_share": percent(figures.saved_share),
        "invocations": whole(figures.invocations),
        "writes": whole(figures.write_units if units else figures.write_calls),
        "writes_name": "Write units" if units else "Write calls",
        "write_calls": whole(figures.write_calls),
        "p50": duration(figures.p50_ms),
        "p99": duration(figures.p99_ms),
        "applied": whole(figures.applied),
        "rejected": whole(figures.rejected),
        "repeats": whole(figures.repeats),
        "quarantined": whole(figures.quarantined),
        "errors": whole(figures.errors),
        "throttles": whole(figures.throttles),
        "discarded": whole(figures.discarded),
        "more_shards": f"and {hidden:,} more" if hidden > 0 else "",
        "no_quarantined": "" if figures.newest_quarantined else "Nothing is in quarantine.",
    }


def lines(figures: Figures) -> dict[str, dict[str, str]]:
    """The last minutes of some figures: SVG paths of a line and what is below it, and what it shows in words."""
    history = figures.history
    every: dict[str, tuple[str, Sequence[float | None]]] = {
        "requests_line": ("requests a second", history.requests_per_second),
        "lag_line": ("lag in milliseconds", history.lag_ms),
        "p99_line": ("slowest hundredth in milliseconds", history.p99_ms),
        "writes_line": (
            "write units a second" if figures.write_units is not None else "write calls a second",
            history.writes_per_second,
        ),
    }
    return {
        name: {"path": path(values), "area": area(values), "label": _label(what, values, history.step_seconds)}
        for name, (what, values) in every.items()
    }


def path(values: Sequence[float | None]) -> str:
    """An SVG path through the values, the highest at the top, broken where one is unknown; it ends at the right."""
    return "".join(f"M{_joined(run)}" if len(run) > 1 else f"M{_joined(run)}h0" for run in _runs(values))


def area(values: Sequence[float | None]) -> str:
    """An SVG path around what is below the values."""
    return "".join(f"M{run[0][0]:.1f} {HEIGHT:.0f}L{_joined(run)}V{HEIGHT:.0f}Z" for run in _runs(values))


def _joined(run: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in run)


def _runs(values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """The places of the values on the drawing, in runs without a gap."""
    top = max((one for one in values if one is not None), default=0) or 1.0
    step = WIDTH / max(1, len(values) - 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((number * step, HEIGHT - 1 - value / top * (HEIGHT - 2)))
    return [run for run in runs if run]


def _label(what: str, values: Sequence[float | None], step: float) -> str:
    known = [one for one in values if one is not None]
    if not known:
        return f"{what}: nothing yet"
    span = len(values) * step
    minutes = f"{span / 60:.0f} minutes" if span >= 120 else f"{span:.0f} seconds"
    return f"{what} in the last {minutes}: {number(min(known))} to {number(max(known))}, at last {number(known[-1])}"


def _headline(figures: Figures) -> str:
    if figures.saved is None or not figures.requests:
        return "No requests yet" if figures.requests == 0 else f"{figures.invocations:,} invocations"
    share = f"{percent(figures.saved_share)} of the invocations saved"
    return f"{figures.requests:,} requests in {figures.invocations:,} invocations: {share}"


def _state(figures: Figures) -> str:
    """The sentence about what is wrong now; else about the quarantine."""
    alarms = f"Alarms that are on: {', '.join(map(safe, figures.alarms))}." if figures.alarms else ""
    if figures.problem or alarms:
        return " ".join(filter(None, (alarms, safe(figures.problem or ""))))
    there = bool(figures.newest_quarantined)
    if not figures.quarantined:
        return "Requests from before are in quarantine." if there else "Nothing is known to be wrong."
    many = "1 request was" if figures.quarantined == 1 else f"{figures.quarantined:,} requests were"
    return f"{many} quarantined since {clock(figures.since)}{'' if there else '; nothing is in quarantine now'}."


def _shard(one: ShardFigures) -> list[str]:
    return [safe(one.shard), whole(one.waiting), rate(one.records_per_second)]


def _quarantined(one: QuarantinedObject) -> dict[str, Any]:
    return {
        "object": one.object,
        "cells": [
            safe(one.arrived[:19].replace("T", " ")) or UNKNOWN,
            safe(one.reason),
            safe(one.cmd or UNKNOWN, LONGEST_NAME),
            safe(one.key, LONGEST_NAME),
            safe(one.id or UNKNOWN, LONGEST_NAME),
        ],
        "problem": None if one.problem is None else safe(one.problem),
        "name": safe(one.id or one.key, 40),
    }


def safe(text: str, longest: int = LONGEST) -> str:
    """A text from anybody, fit to be looked at: nothing in it steers, and it is cut where it is too long."""
    cut = text[: longest - 1] + "…" if len(text) > longest else text
    return "".join(ascii(one)[1:-1] if unicodedata.category(one) in _HIDDEN else one for one in cut)


def whole(value: float | None) -> str:
    """A count."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """A rate, with a decimal place while it is small."""
    return UNKNOWN if value is None else number(value)


def number(value: float) -> str:
    """A number, with a decimal place while it is small and no whole one."""
    return f"{value:,.1f}" if value < 100 and value != int(value) else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share; it is never rounded up to the whole."""
    if share is None:
        return UNKNOWN
    return f"{min(share * 100, 99.99):.2f}%" if 0.99 <= share < 1 else f"{share * 100:.1f}%"


def duration(milliseconds: int | None) -> str:
    """A time, in the unit that fits."""
    if milliseconds is None:
        return UNKNOWN
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def clock(seconds: float) -> str:
    """A moment in UTC, with its date."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
