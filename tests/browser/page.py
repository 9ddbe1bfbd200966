"""The page of figures as a browser shows it: on a phone and on a desk, in light and in dark. By `make test-browser`.

The figures are a running platform's where they must be; elsewhere they are made up, and hostile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.browser.devtools import CHROMIUM, Tab, browser
from tests.browser.report import contrast, luminance, rgb
from tests.e2e.test_page import RULES, send
from tests.e2e.test_up import state, up
from tidemill_page import Figures, PageServer, QuarantinedObject, Redrove, as_json
from tidemill_page.figures import History, ShardFigures
from tidemill_page.wording import shown

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; CHROMIUM names one elsewhere"),
    pytest.mark.timeout(300),
]

NOON = 1_764_072_000.0
SCRIPT = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
QUARANTINED = (
    QuarantinedObject(
        "quarantine/1", "2025-11-25T12:00:01.000Z", "KeyError: 'count'", "seat.reserve", "seat/1", "i1", None
    ),
    QuarantinedObject("quarantine/2", "2025-11-25T12:00:02.000Z", SCRIPT, SCRIPT, SCRIPT, SCRIPT, None),
    QuarantinedObject("quarantine/3", SCRIPT, "x" * 100_000, "\u202egnp.exe", "k" * 256, "\x00\x1b[2J", SCRIPT),
)
STEPS = range(60)
FIGURES = Figures(
    "local",
    NOON + 600,
    NOON,
    requests=123_456_789,
    invocations=7_890,
    history=History(
        5.0,
        tuple(100.0 + number for number in STEPS),
        tuple(None if number < 5 else 4_000 + number for number in STEPS),
        tuple(5_000 - number for number in STEPS),
        tuple(80.5 for _ in STEPS),
    ),
    requests_per_second=12_345.6,
    lag_ms=5_321,
    waiting=42_000,
    applied=120_000_000,
    rejected=3_400_000,
    repeats=56_780,
    quarantined=9,
    write_calls=5_012_345,
    write_units=130_123_456.0,
    p50_ms=3_100,
    p99_ms=6_120,
    errors=2,
    discarded=0,
    shards=tuple(ShardFigures(f"shardId-{number:012d}", number, number / 3) for number in range(8)),
    newest_quarantined=QUARANTINED,
)

LOOK = """(() => {
  const style = one => getComputedStyle(one);
  const has_text = one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const texts = [...document.querySelectorAll("body *")].filter(one =>
    has_text(one) && one.checkVisibility() && one.tagName !== "SCRIPT");
  const rows = table => [...document.querySelectorAll(table + " tbody tr")].map(row =>
    [...row.cells].map(cell => cell.textContent));
  const behind = one => {
    while (one) {
      const colour = style(one).backgroundColor;
      if (!colour.endsWith(", 0)")) return colour;
      one = one.parentElement;
    }
  };
  return {
    width: document.documentElement.scrollWidth,
    background: style(document.body).backgroundColor,
    texts: texts.map(one => {
      const {left, right, width, height} = one.getBoundingClientRect();
      return {text: one.textContent.slice(0, 40), tag: one.tagName, left, right, width, height,
              pixels: parseFloat(style(one).fontSize), colour: style(one).color, behind: behind(one)};
    }),
    by_id: Object.fromEntries([...document.querySelectorAll("[id]")].map(one => [one.id, one.textContent])),
    lines: [...document.querySelectorAll("svg")].map(one => ({
      id: one.id, label: one.getAttribute("aria-label"), path: one.querySelector(".line").getAttribute("d"),
      height: one.getBoundingClientRect().height, stroke: style(one.querySelector(".line")).stroke})),
    rows: rows("#quarantined"), shards: rows("#shards"),
    scripts: document.scripts.length, images: document.images.length, title: document.title,
    fetched: performance.getEntriesByType("resource").map(one => new URL(one.name).pathname),
  };
})()"""


class Quarantine:
    """Puts objects back, and remembers which."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def redrive(self, object_key: str) -> Redrove:
        self.asked.append(object_key)
        return Redrove(done=object_key == "quarantine/1", text=f"asked for {object_key} {SCRIPT}")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a picture of each page is kept, to be looked at."""
    return tmp_path_factory.mktemp("pictures")


def loaded(tab: Tab, address: str, screen: tuple[int, int, str] = (1280, 800, "light"), **wish: bool) -> None:
    """Load the page, and wait until it shows figures."""
    width, height, scheme = screen
    tab.show(address, width=width, height=height, scheme=scheme, **wish)
    tab.until("document.documentElement?.dataset.at")


def left(tab: Tab) -> None:
    """Leave the page: its connection is not to be lost before."""
    tab.show("about:blank", width=1280, height=800, scheme="light")


SCREENS = [(390, 844, "light"), (390, 844, "dark"), (1280, 800, "light"), (1280, 800, "dark")]


@pytest.fixture(scope="module", params=SCREENS, ids=str)
def seen(request: pytest.FixtureRequest, tab: Tab, pictures: Path) -> dict[str, Any]:
    """What a browser makes of the page on a screen."""
    width, _, scheme = request.param
    tab.events.clear()
    with PageServer("a test", redrive=Quarantine().redrive) as server:
        server.publish(FIGURES)
        loaded(tab, server.address, request.param)
        found: dict[str, Any] = tab.run(LOOK)
        tab.picture(pictures / f"{width}-{scheme}.png")
        complaints = tab.complaints()
        left(tab)
    return {"asked": width, "scheme": scheme, "complaints": complaints, **found}


def test_nothing_is_wider_than_the_screen(seen: dict[str, Any]) -> None:
    assert seen["width"] <= seen["asked"]
    for one in seen["texts"]:
        assert one["width"] == 1 or (one["left"] >= 0 and one["right"] <= seen["asked"]), one


def test_no_number_is_broken(seen: dict[str, Any]) -> None:
    numbers = [
        one for one in seen["texts"] if one["tag"] in ("P", "SPAN", "DD") and one["text"].replace(",", "").isdigit()
    ]
    assert len(numbers) > 10
    for one in numbers:
        assert one["height"] < 2 * one["pixels"], one


def test_every_figure_is_there(seen: dict[str, Any]) -> None:
    told = shown(FIGURES)
    ids = {"quarantined": "quarantined_count"}
    assert {name: seen["by_id"][ids.get(name, name)] for name in told["texts"]} == told["texts"]
    assert seen["shards"] == told["shards"]
    assert [row[:5] for row in seen["rows"]] == [one["cells"] for one in told["quarantined"]]
    assert [row[5] for row in seen["rows"][:2]] == ["Redrive", "Redrive"]
    assert seen["rows"][2][5] == f"cannot be redriven: {told['quarantined'][2]['problem']}"


def test_the_last_minutes_are_drawn_and_told(seen: dict[str, Any]) -> None:
    told = shown(FIGURES)["lines"]
    assert {one["id"]: (one["path"], one["label"]) for one in seen["lines"]} == {
        name: (one["path"], one["label"]) for name, one in told.items()
    }
    for one in seen["lines"]:
        assert one["height"] > 20
        assert contrast(rgb(one["stroke"]), rgb(seen["background"])) >= 3


def test_a_hostile_text_does_nothing(seen: dict[str, Any]) -> None:
    assert seen["title"] == "Tidemill: a test"
    assert (seen["scripts"], seen["images"]) == (1, 0)
    assert seen["complaints"] == []
    assert set(seen["fetched"]) <= {"/events"}


def test_texts_stand_out_and_are_large_enough(seen: dict[str, Any]) -> None:
    assert (luminance(rgb(seen["background"])) < 0.2) == (seen["scheme"] == "dark")
    assert len(seen["texts"]) > 50
    for one in seen["texts"]:
        assert contrast(rgb(one["colour"]), rgb(one["behind"])) >= 4.5, one
        assert one["pixels"] >= 12.5, one


def test_buttons_are_large_enough_for_fingers(seen: dict[str, Any]) -> None:
    buttons = [one for one in seen["texts"] if one["tag"] == "BUTTON"]
    assert len(buttons) == 2
    assert min(one["height"] for one in buttons) >= (44 if seen["asked"] < 500 else 32)


def test_a_redrive_is_a_click_or_a_key_and_says_what_came_of_it(tab: Tab) -> None:
    quarantine = Quarantine()
    tab.events.clear()
    with PageServer("a test", redrive=quarantine.redrive) as server:
        server.publish(FIGURES)
        loaded(tab, server.address)
        told = "document.getElementById('told')"
        assert tab.run(f"{told}.hidden")
        tab.run("document.querySelector('#quarantined button').click()")
        assert tab.until(f"{told}.textContent").startswith("i1: asked for quarantine/1 </script>")
        assert tab.run(f"{told}.className") == "state"
        assert tab.run(f"[{told}.role, {told}.ariaLive]") == ["status", "polite"]
        tab.run("document.body.focus()")
        for _ in range(20):
            tab.press("Tab", 9)
            if tab.run("document.activeElement.dataset.object") == "quarantine/2":
                break
        server.publish(replace(FIGURES, at=NOON + 601, newest_quarantined=QUARANTINED[1:]))
        tab.until(f"document.documentElement.dataset.at === '{NOON + 601:.0f}'")
        assert tab.run("document.activeElement.dataset.object") == "quarantine/2", "the focus stays as rows go"
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        tab.press("Enter", 13)
        tab.until(f"{told}.textContent.includes('asked for quarantine/2')")
        assert tab.run(f"{told}.className") == "state failure"
        left(tab)
    assert quarantine.asked == ["quarantine/1", "quarantine/2"]
    assert tab.complaints() == []


def test_who_wants_no_motion_gets_none(tab: Tab) -> None:
    with PageServer("a test", redrive=Quarantine().redrive) as server:
        server.publish(FIGURES)
        loaded(tab, server.address, reduced_motion=True)
        moving = """[...document.querySelectorAll("*")].filter(one => {
          const style = getComputedStyle(one);
          return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
        }).length"""
        assert tab.run(moving) == 0
        left(tab)


def test_the_page_says_that_figures_no_longer_come(tab: Tab) -> None:
    with PageServer("a test") as server:
        server.publish(replace(FIGURES, problem="PROBLEM: Function call failed"))
        loaded(tab, server.address)
        told = "document.getElementById('state')"
        assert tab.run(f"[{told}.textContent, {told}.className]") == ["PROBLEM: Function call failed", "state failure"]
        assert tab.run("document.querySelectorAll('button').length") == 0
    assert tab.until(f"{told}.textContent.startsWith('The figures no longer come')")
    left(tab)


def test_the_page_of_a_platform_shows_what_its_json_has(tab: Tab, tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "seats.py").write_text(RULES.replace(" MORE", ""))
    with up(tmp_path, "--rules", "seats", "--parameter", "BatchingWindowSeconds=0"):
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        loaded(tab, found["page"])
        send(found, *[(f"seat/{number}", number) for number in range(50)], ("seat/poison", None))
        tab.until("document.getElementById('applied').textContent === '49'")
        tab.until("document.querySelectorAll('#quarantined tbody tr').length === 1")
        tab.picture(pictures / "up.png")

        def both() -> tuple[Any, Any]:
            kept = json.loads((tmp_path / "up.json").read_text())["figures"]
            return kept, tab.run(f"Number(document.documentElement.dataset.at) === {kept['at']!r} && {LOOK}.by_id")

        while True:
            kept, by_id = both()
            if by_id:
                break
        told = shown(figures_of(kept))["texts"]
        assert (kept["applied"], kept["rejected"], kept["quarantined"]) == (49, 1, 1)
        assert {name: by_id[name] for name in told if name != "quarantined"} == {
            name: text for name, text in told.items() if name != "quarantined"
        }
        assert by_id["quarantined_count"] == told["quarantined"] == "1"
        tab.run("document.querySelector('#quarantined button').click()")
        assert ": put back on the stream" in tab.until("document.getElementById('told').textContent")
        left(tab)


def figures_of(kept: dict[str, Any]) -> Figures:
    """The figures that JSON holds."""
    given = {name: value for name, value in kept.items() if name not in ("saved", "saved_share")}
    history: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in kept["history"].items()
    }
    given["history"] = History(**history)
    given["shards"] = tuple(ShardFigures(**one) for one in kept["shards"])
    given["newest_quarantined"] = tuple(QuarantinedObject(**one) for one in kept["newest_quarantined"])
    figures = Figures(**given)
    assert json.loads(json.dumps(as_json(figures))) == kept
    return figures
