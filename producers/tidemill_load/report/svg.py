"""A Matplotlib figure as SVG that stands within a page: its colours are the page's, so that light and dark both fit.

Room: load, report; pure. Knows figures and colours, and nothing of load tests. The same figure gives the same text.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

PALETTE: Final = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "paper": "#040404",
    "direct": "#050505",
    "buffered": "#060606",
    "aggregated": "#070707",
    "analytics": "#080808",
}
"""Names of the page's colours, as CSS variables, and what Matplotlib is told in their place."""

WIDTH: Final = 360
"""Of a figure in points, as wide as a phone's page: text is then as large there as it is set here."""

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_FONT = re.compile(r"font(-family)?:[^;]*?'DejaVu Sans'[^;]*")
_STYLE: Final[dict[Any, object]] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tidemill",  # else ids are made of chance
    "font.family": "DejaVu Sans",  # wide, so that what fits here fits in the reader's font
    "text.parse_math": False,
    "font.size": 12,
    "axes.labelsize": "medium",
    "axes.labelcolor": PALETTE["ink"],
    "axes.edgecolor": PALETTE["muted"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": PALETTE["grid"],
    "grid.linewidth": 0.8,
    "lines.linewidth": 2,
    "lines.markersize": 7,
    "text.color": PALETTE["ink"],
    "xtick.labelsize": "medium",
    "ytick.labelsize": "medium",
    "xtick.color": PALETTE["muted"],
    "ytick.color": PALETTE["muted"],
    "xtick.labelcolor": PALETTE["ink"],
    "ytick.labelcolor": PALETTE["ink"],
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


@contextmanager
def drawing(height: int) -> Iterator[Figure]:
    """A figure to draw on within the block, `height` points high, in the style of the page."""
    import matplotlib as mpl  # here, for it takes half a second
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        yield Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")


def inline(figure: Figure, name: str, title: str, description: str) -> str:
    """The figure as an `svg` element for an HTML page. Within the block of `drawing`.

    Args:
        figure: what to show; its colours are of PALETTE.
        name: of the chart, unique on the page; its ids begin with it.
        title: what it shows, for those who hear it.
        description: what is to be seen on it, likewise.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawn = ElementTree.fromstring(buffer.getvalue())  # noqa: S314 - our own
    svg = ElementTree.Element(
        f"{{{_SVG}}}svg",
        {"viewBox": drawn.get("viewBox", ""), "role": "img", "aria-labelledby": f"{name}-title {name}-description"},
    )
    for tag, text in (("title", title), ("description", description)):
        element = ElementTree.SubElement(svg, f"{{{_SVG}}}{'desc' if tag == 'description' else tag}")
        element.set("id", f"{name}-{tag}")
        element.text = text
    # Without the metadata and the style sheet, which would be the whole page's.
    kept = [one for one in drawn if not one.tag.endswith("metadata") and one.find(f"{{{_SVG}}}style") is None]
    referenced = _referenced(drawn)
    for element in kept:
        _fit_in(element, name, referenced)
    svg.extend(kept)
    ElementTree.register_namespace("", _SVG)
    return _coloured(ElementTree.tostring(svg, encoding="unicode"))


def _referenced(drawn: ElementTree.Element) -> set[str]:
    """Ids that something points to; all others only name groups."""
    links = {element.get(f"{{{_XLINK}}}href", "")[1:] for element in drawn.iter()}
    clips = {element.get("clip-path", "")[5:-1] for element in drawn.iter()}
    return (links | clips) - {""}


def _fit_in(element: ElementTree.Element, name: str, referenced: set[str]) -> None:
    """Ids are the page's, so each begins with the chart's name; the font is the page's."""
    for one in element.iter():
        identifier = one.attrib.pop("id", None)
        if identifier in referenced:
            one.set("id", f"{name}-{identifier}")
        if link := one.attrib.pop(f"{{{_XLINK}}}href", None):
            one.set("href", f"#{name}-{link[1:]}")
        if clip := one.get("clip-path"):
            one.set("clip-path", f"url(#{name}-{clip[5:-1]})")
        if style := one.get("style"):
            one.set("style", _FONT.sub("", style).strip("; "))
        if one.text and not one.text.strip():
            one.text = None
        one.tail = None
        if one.get("d"):
            one.set("d", " ".join(one.get("d", "").split()))


def _coloured(svg: str) -> str:
    for name, colour in PALETTE.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg
