"""The report as a browser shows it: on a phone and on a desk, in light and in dark. Run by `make test-browser`.

It needs Chromium, which CHROMIUM names, or its usual names find; without it the tests are skipped.
"""

from __future__ import annotations

import json
import re
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from tests.browser.devtools import CHROMIUM, QUIET
from tidemill_load.report import render
from tidemill_load.results.result import from_json

RESULT = Path(__file__).with_name("result.json")
SCHEMES = {"dark": 0, "light": 1}
LEAST_PIXELS = 10.5
"""Of a chart's text."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; CHROMIUM names one elsewhere")

# The page stands in a frame, for a window cannot be as narrow as a phone. It has no script and allows none: the frame's
# surroundings look into it.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe style="border:0;width:{width}px;height:900px" srcdoc="{page}" onload="look(this.contentDocument)"></iframe>
<pre></pre>
<script>
function texts(svg) {{
  return [...svg.querySelectorAll("text")].filter(one => one.textContent.trim()).map(one => {{
    const {{left, top, right, bottom}} = one.getBoundingClientRect();
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    const {{fontSize, fill}} = getComputedStyle(one);
    return {{text: one.textContent, left, top, right, bottom, pixels: parseFloat(fontSize) * scale, fill}};
  }});
}}
function look(page) {{
  const root = page.documentElement, style = getComputedStyle(root);
  const colours = ["direct", "buffered", "aggregated", "analytics", "ink", "muted", "paper"];
  document.querySelector("pre").textContent = JSON.stringify({{
    width: root.scrollWidth,
    requests: page.defaultView.performance.getEntriesByType("resource").length,
    colours: Object.fromEntries(colours.map(one => [one, style.getPropertyValue("--" + one).trim()])),
    background: getComputedStyle(page.body).backgroundColor,
    charts: [...page.querySelectorAll("figure")].filter(one => one.querySelector("svg")).map(one => {{
      const svg = one.querySelector("svg"), {{left, top, right, bottom}} = svg.getBoundingClientRect();
      return {{name: one.id, box: {{left, top, right, bottom}}, texts: texts(svg)}};
    }}),
  }});
}}
</script>"""


@pytest.fixture(scope="module", params=[(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")], ids=str)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser makes of the page at a width and in a colour scheme."""
    width, scheme = request.param
    folder = tmp_path_factory.mktemp("browser")
    page = escape(render(from_json(RESULT.read_bytes())))
    (folder / "frame.html").write_text(FRAME.format(width=width, page=page), "utf-8")
    command = [str(CHROMIUM), *QUIET, f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}"]
    command += [f"--user-data-dir={folder}/profile", "--window-size=1400,1000", "--dump-dom"]
    done = subprocess.run(
        [*command, (folder / "frame.html").as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r"<pre>(.+?)</pre>", done.stdout, re.DOTALL)
    assert found, done.stderr
    return {"asked": width, "scheme": scheme, **json.loads(unescape(found[1]))}


def test_nothing_is_wider_than_the_screen(seen: dict[str, Any]) -> None:
    assert seen["width"] <= seen["asked"]


def test_nothing_is_fetched(seen: dict[str, Any]) -> None:
    assert seen["requests"] == 0


def test_all_charts_are_there_and_their_text_is_large_enough(seen: dict[str, Any]) -> None:
    assert [chart["name"] for chart in seen["charts"]] == ["invocations", "latency", "cost", "window", "units"]
    small = [text for chart in seen["charts"] for text in chart["texts"] if text["pixels"] < LEAST_PIXELS]
    assert small == []


def test_texts_of_a_chart_are_whole_and_apart(seen: dict[str, Any]) -> None:
    for chart in seen["charts"]:
        box = chart["box"]
        for index, text in enumerate(chart["texts"]):
            assert box["left"] - 2 <= text["left"], (chart["name"], text)
            assert text["right"] <= box["right"] + 2, (chart["name"], text)
            for other in chart["texts"][index + 1 :]:
                assert not overlap(text, other), (chart["name"], text["text"], other["text"])


def test_colours_stand_out_from_the_paper(seen: dict[str, Any]) -> None:
    paper = rgb(seen["background"])
    assert (luminance(paper) < 0.2) == (seen["scheme"] == "dark")
    for name in ("direct", "buffered", "aggregated", "analytics"):
        assert contrast(rgb(seen["colours"][name]), paper) >= 3, name
    texts = {text["fill"] for chart in seen["charts"] for text in chart["texts"]}
    modes = {rgb(seen["colours"][name]) for name in ("direct", "buffered", "aggregated", "analytics")}
    for fill in map(rgb, texts):
        # A label in its mode's colour is bold and stands at its line.
        assert contrast(fill, paper) >= (3 if fill in modes else 4.5), fill


def overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """By more than the air above and below letters."""
    width = min(one["right"], other["right"]) - max(one["left"], other["left"])
    height = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    return bool(width > 1 and height > 0.25 * min(one["bottom"] - one["top"], other["bottom"] - other["top"]))


def rgb(colour: str) -> tuple[int, ...]:
    """Of `#rrggbb` or `rgb(r, g, b)`."""
    if colour.startswith("#"):
        return tuple(bytes.fromhex(colour[1:]))
    return tuple(int(part) for part in re.findall(r"\d+", colour)[:3])


def luminance(colour: tuple[int, ...]) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
