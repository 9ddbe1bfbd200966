"""The charts of other settings: the model's curves, with the measured points on them.

Room: load, report; pure.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter

from tidemill_load.assessment.comparison import comparisons, invoked, shown
from tidemill_load.assessment.reckoned import reckoned
from tidemill_load.cost_model.flows import flow_of
from tidemill_load.report.charts import Chart, label_ends, legend, point
from tidemill_load.report.findings import how
from tidemill_load.report.svg import PALETTE, drawing, inline
from tidemill_load.wording import a_second, duration, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from tidemill_load.assessment.comparison import Comparison
    from tidemill_load.cost_model.model import Flow
    from tidemill_load.results.result import Measurement, RecordedMode, Result
    from tidemill_load.workloads.key_distribution import KeyDistribution

WINDOWS: Final = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300)
"""Seconds: what MaximumBatchingWindowInSeconds may be."""


def window(result: Result) -> Chart:
    """Seconds to the answer for each batching window."""
    name, title = "window", "Time until the answer, by batching window"
    chosen = shown(result)
    best, model = chosen.modelled if chosen else None, reckoned(result, chosen)
    if not chosen or not best or not model:
        return Chart(name, title, "No mode ran that gathers batches, or its settings are beyond the model's.")
    mode: Final = "buffered" if best.mode == "buffered" else "aggregated"
    flows = [flow_of(mode, model.load, replace(model.given, window=one)) for one in WINDOWS]
    caption = (
        f"Lines are the model's, for {best.mode} at {a_second(chosen.rate)}; points were {how(result)}, with a window "
        f"of {duration(result.window)}: the lower p50, the upper p99. Until batches are full, a longer window takes "
        "fewer invocations and more time."
    )
    with drawing(300) as figure:
        axes = figure.subplots()
        ends = [*_delays(axes, flows, best), *_measured_delays(axes, chosen, result.window)]
        label_ends(axes, ends)
        legend(figure, [one.mode for one in chosen.streamed], how(result))
        return Chart(name, title, caption, inline(figure, name, title, caption))


def units(result: Result) -> Chart:
    """Capacity units of a request, by how many requests share an invocation."""
    name, title = "units", "DynamoDB capacity units of a request, by batch"
    ran = [one for compared in comparisons(result) for one in compared.ran if one.write_units and one.invocations]
    if not ran:
        return Chart(name, title, "No mode's capacity units were counted.")
    model = reckoned(result, shown(result)) if "keys" in result.workload.parameters else None
    given = model.given if model else None
    caption = (
        "Requests of one key in one batch are folded into one write. Filled points are write units, hollow ones read "
        f"units, at each rate.{' The line is the model: distinct keys for each request.' if given else ''}"
    )
    with drawing(300) as figure:
        axes = figure.subplots()
        if given:
            _folded(axes, given.keys)
        _measured_units(axes, ran)
        legend(figure, [one.mode for one in ran], how(result))
        return Chart(name, title, caption, inline(figure, name, title, caption))


# ---- time until the answer by window


def _delays(axes: Axes, flows: Sequence[Flow], best: Measurement) -> list[tuple[str, float, RecordedMode]]:
    """Draws p50 and p99 for each window; where the lines end, in seconds."""
    lines = (("p50", "--", [one.p50 for one in flows]), ("p99", "-", [one.p99 for one in flows]))
    for _, dash, delays in lines:
        axes.plot(WINDOWS, delays, color=PALETTE[best.mode], linestyle=dash)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator([0, 1, 5, 20, 60, 300]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_major_formatter(lambda value, _: duration(value))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("batching window, seconds")
    axes.set_ylabel("time until the answer")
    return [(name, delays[-1], best.mode) for name, _, delays in lines]


def _measured_delays(axes: Axes, chosen: Comparison, seconds: float) -> list[tuple[str, float, RecordedMode]]:
    """Draws points, and a line for direct, which knows no window; where that ends."""
    for one in chosen.streamed:
        if one.latency.count:
            point(axes, seconds, one.latency.p50, one.mode)
            point(axes, seconds, one.latency.p99, one.mode)
    if not chosen.direct or not chosen.direct.latency.count:
        return []
    axes.axhline(chosen.direct.latency.p99, color=PALETTE["direct"])
    return [("direct p99", chosen.direct.latency.p99, "direct")]


# ---- capacity units by batch


def _folded(axes: Axes, keys: KeyDistribution) -> None:
    batches = [10 ** (step / 10) for step in range(41)]
    axes.plot(batches, [keys.distinct(batch) / batch for batch in batches], color=PALETTE["muted"])


def _measured_units(axes: Axes, ran: Sequence[Measurement]) -> None:
    for one in ran:
        batch = 1 / invoked(one)
        point(axes, batch, (one.write_units or 0) / one.requests, one.mode)
        if one.read_units:
            point(axes, batch, one.read_units / one.requests, one.mode, hollow=True)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("requests an invocation")
    axes.set_ylabel("capacity units a request")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: number(value))
        axis.set_minor_formatter(NullFormatter())
