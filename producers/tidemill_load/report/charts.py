"""A chart, and the style that all share: each mode's colour, dash and marker.

Room: load, report; pure.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from matplotlib.lines import Line2D

from tidemill_load.report.svg import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tidemill_load.results.result import RecordedMode

MARKERS: Final[dict[RecordedMode, str]] = {"direct": "s", "buffered": "o", "aggregated": "D", "analytics": "^"}

SIZES: Final[dict[RecordedMode, int]] = {"direct": 7, "buffered": 10, "aggregated": 6, "analytics": 7}
"""So that points in the same place are seen: they are drawn in this order."""

DASHES: Final[dict[RecordedMode, str]] = {"direct": "-", "buffered": "--", "aggregated": "-", "analytics": ":"}


GAP: Final = 0.075
"""Between names of lines, as a share of the axes' height."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, or the reason why it is left out. No text of a result is drawn on it.

    Attributes:
        name: of the chart on the page: letters.
        title: what it shows.
        caption: what is to be seen on it; or why there is none.
        svg: an `svg` element; None without a chart.
    """

    name: str
    title: str
    caption: str
    svg: str | None = None


def point(axes: Axes, x: float, y: float, mode: RecordedMode, *, hollow: bool = False) -> None:
    """A measured point of a mode, above the lines. A hollow one leaves room for a filled one within it."""
    fill, edge = ("none", PALETTE[mode]) if hollow else (PALETTE[mode], PALETTE["paper"])
    size = SIZES[mode] + (5 if hollow else 0)
    (drawn,) = axes.plot([x], [y], MARKERS[mode], color=PALETTE[mode], markersize=size, zorder=3, clip_on=False)
    drawn.set(markerfacecolor=fill, markeredgecolor=edge)


def label_ends(axes: Axes, ends: Iterable[tuple[str, float, RecordedMode]]) -> None:
    """Names of lines, beside their right ends: from the lowest up, each clear of the one below.

    Args:
        axes: with all else drawn.
        ends: name, height in the data's units, and mode of each line.
    """
    axes.autoscale_view()
    below = -1.0
    for text, end, mode in sorted(ends, key=lambda one: one[1]):
        _, height = axes.transAxes.inverted().transform(axes.transData.transform((1.0, end)))
        below = max(height, below + GAP)
        axes.text(1.02, below, text, color=PALETTE[mode], transform=axes.transAxes, va="center", weight="bold")


def legend(figure: Figure, modes: Iterable[RecordedMode], title: str) -> None:
    """Which marker is which mode's, above the axes; the title says what points are."""
    drawn = [
        Line2D([], [], marker=MARKERS[mode], markersize=SIZES[mode], color=PALETTE[mode], linestyle="none", label=mode)
        for mode in dict.fromkeys(modes)
    ]
    if drawn:
        place = {"ncols": 3, "frameon": False, "handletextpad": 0.2, "columnspacing": 1.2}
        figure.legend(handles=drawn, loc="outside upper left", title=f"{title}:", alignment="left", **place)
