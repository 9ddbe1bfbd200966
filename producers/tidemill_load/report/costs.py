"""The chart of costs: dollars for a million requests against the rate, and where direct and a stream are even.

Room: load, report; pure. Curves are the cost model's, points are bills of what was measured; of the same parts.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from matplotlib.ticker import FixedLocator, NullFormatter

from tidemill_load.assessment.comparison import comparisons, per_million, shown
from tidemill_load.assessment.reckoned import reckoned
from tidemill_load.cost_model.bill import PARTS, Part
from tidemill_load.cost_model.flows import highest
from tidemill_load.cost_model.prices import list_prices
from tidemill_load.report.charts import DASHES, Chart, label_ends, legend, point
from tidemill_load.report.findings import how
from tidemill_load.report.svg import PALETTE, drawing, inline
from tidemill_load.results.result import MODES
from tidemill_load.wording import listed, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tidemill_load.cost_model.cost import Point
    from tidemill_load.results.result import Mode, Result

    Curves: TypeAlias = Mapping[Mode, Sequence[Point]]
    Even: TypeAlias = Mapping[Mode, float | None]

STREAMED: Final[tuple[Mode, ...]] = ("buffered", "aggregated")

RATES: Final = tuple(10 ** (step / 10) for step in range(-10, 41))
"""Requests a second, 0.1 to 10,000: evenly on the chart."""

MIDDLE: Final = 30.0
"""Of those rates: there is more room on the other side."""


def cost(result: Result) -> Chart:
    """Dollars for a million requests against the rate, log-log."""
    name, title = "cost", "Dollars for a million requests, by rate"
    model = reckoned(result, shown(result))
    if not model:
        return Chart(name, title, "The run's settings are beyond the model's.")
    most = highest(model.load)
    curves: Curves = {
        mode: [its for rate in RATES if rate < most and not (its := model.at(mode, rate)).flow.problems]
        for mode in MODES
    }
    if not all(curves.values()):
        return Chart(name, title, "By the model, these settings cannot be run at any rate.")
    parts = _parts(result, curves)
    even: Even = {mode: model.even(mode, parts) for mode in STREAMED}
    ran = [one for compared in comparisons(result) for one in compared.ran if per_million(one)]
    caption = " ".join([_of_what(result, parts), *_said(even), *_ended(curves)])
    with drawing(350) as figure:
        axes = figure.subplots()
        _scales(axes)
        ends = _lines(axes, curves, parts)
        for one in ran:
            point(axes, one.rate, per_million(one) or 0.0, one.mode)
        _evens(axes, even, _dollars(curves["direct"][0], parts))
        label_ends(axes, ends)
        legend(figure, [one.mode for one in ran], how(result))
        return Chart(name, title, caption, inline(figure, name, title, caption))


def _parts(result: Result, curves: Curves) -> Sequence[Part]:
    """Of the bills: those that the measured ones have too."""
    items = {item for one in result.measurements for item in one.bill}
    lines = [line for points in curves.values() for one in points for line in one.bill.lines]
    parts = {line.part for line in lines if line.item in items} or {line.part for line in lines}
    return [part for part in PARTS if part in parts]


def _of_what(result: Result, parts: Sequence[Part]) -> str:
    priced = f"; points were {how(result)}, at those of {result.price_date}" if result.price_date else ""
    return f"Lines are the model's, at list prices of {list_prices().date}{priced}. In them: {listed(list(parts))}."


def _said(even: Even) -> Iterator[str]:
    """Modes that are even with direct at the same rate are told of together."""
    rates = {mode: None if rate is None else number(rate, 2) for mode, rate in even.items()}
    for said in dict.fromkeys(rates.values()):
        modes = listed([mode for mode, rate in rates.items() if rate == said])
        if said is None:
            yield f"Direct is cheaper than {modes} at every rate."
        else:
            yield f"Below {said} requests a second direct is cheaper than {modes}."


def _ended(curves: Curves) -> Iterator[str]:
    if any(points[-1].rate < RATES[-1] for points in curves.values()):
        yield "A line ends where the most popular key would be more than one item or one shard takes."


def _dollars(one: Point, parts: Sequence[Part]) -> float:
    return sum(map(one.bill.part, parts))


def _scales(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(RATES[0], RATES[-1])
    axes.set_xlabel("requests a second")
    axes.set_ylabel("dollars for a million requests")
    axes.xaxis.set_major_locator(FixedLocator([0.1, 1, 10, 100, 1_000, 10_000]))
    axes.xaxis.set_major_formatter(lambda value, _: number(value))
    axes.yaxis.set_major_formatter(lambda value, _: f"${number(value)}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())


def _lines(axes: Axes, curves: Curves, parts: Sequence[Part]) -> list[tuple[str, float, Mode]]:
    """Draws them; where each ends, in dollars."""
    ends: list[tuple[str, float, Mode]] = []
    for mode, points in curves.items():
        heights = [_dollars(one, parts) for one in points]
        axes.plot([one.rate for one in points], heights, color=PALETTE[mode], linestyle=DASHES[mode])
        ends.append((mode, heights[-1], mode))
    return ends


def _evens(axes: Axes, even: Even, direct: float) -> None:
    """Rings on the line of direct, and how far to the right they are."""
    bottom = axes.get_ylim()[0]
    found = [rate for rate in even.values() if rate and RATES[0] < rate < RATES[-1]]
    for rate in found:
        axes.plot([rate, rate], [bottom, direct], color=PALETTE["ink"], linestyle=":", linewidth=1.5)
        axes.plot([rate], [direct], "o", color=PALETTE["ink"], markersize=11, markerfacecolor="none")
    if found:
        to_the_right = max(found) < MIDDLE
        where, side = ((5, 6), "left") if to_the_right else ((-5, 6), "right")
        text = f"even at {number(found[-1], 2)}/s"
        axes.annotate(text, (max(found), bottom), where, textcoords="offset points", ha=side)
    axes.set_ylim(bottom)
