"""The charts of the measurements: invocations by mode, and the time until the answer.

Room: load, report; pure.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING

from tidemill_load.assessment.comparison import comparisons, invoked, shown
from tidemill_load.report.charts import Chart
from tidemill_load.report.svg import PALETTE, drawing, inline
from tidemill_load.wording import a_second, counted, duration, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from tidemill_load.results.result import Latency, Measurement, Result


def invocations(result: Result) -> Chart:
    """Bars: invocations for a thousand requests, by rate and mode."""
    name, title = "invocations", "Lambda invocations for 1,000 requests"
    counted_ones = ((one.rate, [ran for ran in one.ran if ran.invocations is not None]) for one in comparisons(result))
    groups = [(rate, ran) for rate, ran in counted_ones if ran]
    if not groups:
        return Chart(name, title, "No mode's invocations were counted.")
    caption = _sum_up(*groups[-1])
    rows = sum(len(ran) + 1 for _, ran in groups)
    with drawing(40 + 34 * rows) as figure:
        _bars(figure.subplots(), groups)
        return Chart(name, title, caption, inline(figure, name, title, caption))


def latency(result: Result) -> Chart:
    """A distribution for each mode: the time to the answer on a scale of powers of ten, beside what it saved."""
    name, title = "latency", "Time until the answer"
    chosen = shown(result)
    ran = [one for one in chosen.ran if any(one.latency.counts)] if chosen else []
    if not chosen or not ran:
        return Chart(name, title, "No answer was timed.")
    said = [f"{one.mode} {duration(one.latency.p50)} and {duration(one.latency.p99)}" for one in ran]
    caption = (
        f"At {a_second(chosen.rate)}. Half of the answers came within, and 99 of 100: {listed(said)}; lines mark both."
    )
    with drawing(45 + 84 * len(ran)) as figure:
        _ridges(figure.subplots(), ran)
        return Chart(name, title, caption, inline(figure, name, title, caption))


# ---- invocations


def _sum_up(rate: float, ran: Sequence[Measurement]) -> str:
    said = [f"{one.mode} {counted(1000 * invoked(one), 'invocation')}" for one in ran]
    return f"At {a_second(rate)}, 1,000 requests take {listed(said)}."


def _bars(axes: Axes, groups: Sequence[tuple[float, Sequence[Measurement]]]) -> None:
    y = 0
    for rate, ran in groups:
        axes.text(0, y, a_second(rate), color=PALETTE["muted"], va="center")
        for y, one in enumerate(ran, y + 1):  # noqa: B020 - each row stands below the last
            axes.barh(y + 0.2, 1000 * invoked(one), height=0.42, color=PALETTE[one.mode], edgecolor=PALETTE[one.mode])
            axes.text(0, y - 0.25, f"{one.mode}: {one.invocations:,} for {one.requests:,} requests", va="center")
        y += 1
    axes.set_ylim(y - 0.4, -0.5)
    axes.set_xlim(0, 1050)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("invocations for 1,000 requests")


# ---- time until the answer


def _ridges(axes: Axes, ran: Sequence[Measurement]) -> None:
    lowest, highest = _span([one.latency for one in ran])
    for row, one in enumerate(ran):
        _ridge(axes, -float(row), lowest, one)
    axes.set_ylim(0.95 - len(ran), 0.95)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xscale("log")
    axes.set_xlim(lowest, highest)
    axes.xaxis.set_major_formatter(lambda value, _: duration(value))
    axes.set_xlabel("time from due to answered")


def _ridge(axes: Axes, floor: float, left: float, one: Measurement) -> None:
    edges, heights = _density(one.latency)
    axes.stairs(
        [floor + 0.42 * height for height in heights], edges, baseline=floor, fill=True, color=PALETTE[one.mode]
    )
    for value in (one.latency.p50, one.latency.p99):
        axes.plot([value, value], [floor - 0.05, floor + 0.47], color=PALETTE["ink"], linewidth=1.2)
    axes.axhline(floor, color=PALETTE["muted"], linewidth=0.8)
    known = "" if one.invocations is None else f": {counted(one.invocations, 'invocation')}"
    axes.text(left, floor + 0.78, f"{one.mode}{known}", weight="bold", va="center")
    parts = (("p50", one.latency.p50), ("p95", one.latency.p95), ("p99", one.latency.p99))
    axes.text(left, floor + 0.59, ", ".join(f"{name} {duration(value)}" for name, value in parts), va="center")


def _density(latency: Latency) -> tuple[list[float], list[float]]:
    """Edges, and the share of requests in each bucket over its width on the scale; the highest is 1."""
    edges = [latency.bounds[0] / 2, *latency.bounds, max(latency.max, 1.01 * latency.bounds[-1])]
    raw = [count / log10(high / low) for count, (low, high) in zip(latency.counts, pairwise(edges), strict=True)]
    return edges, [one / max(raw) for one in raw]


def _span(latencies: Iterable[Latency]) -> tuple[float, float]:
    """Where there is something to see, and a little more on both sides."""
    filled = [
        (low, high)
        for edges, heights in map(_density, latencies)
        for (low, high), height in zip(pairwise(edges), heights, strict=True)
        if height
    ]
    return min(low for low, _ in filled) / 1.3, max(high for _, high in filled) * 1.3
