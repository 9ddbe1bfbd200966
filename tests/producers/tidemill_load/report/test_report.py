"""The report: what it says, that all of it is there, and that nothing of a result can break out of it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from tidemill_load.assessment.comparison import comparisons, shown
from tidemill_load.assessment.reckoned import reckoned
from tidemill_load.report import render
from tidemill_load.report.findings import findings, headline
from tidemill_load.report.table import UNKNOWN, tables
from tidemill_load.results.latency import latency
from tidemill_load.results.result import MODES, Latency, Measurement, Result, Workload, to_json
from tidemill_load.wording import dollars, duration, listed, number, times

HOSTILE = """</title></style></svg><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"'&<!--"""
OUTSIDE = re.compile(r"https?:|//|url\((?!#)|@import|<script|<link(?! rel=\"icon\" href=\"data:,\")|<iframe")
NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'


def spread(low: float, high: float) -> Latency:
    return latency(low + (high - low) * step / 99 for step in range(100))


DIRECT = Measurement(
    mode="direct",
    rate=100.0,
    slices=1,
    requests=5000,
    bytes=920_000,
    seconds=50.0,
    sent_rate=100.0,
    invocations=5000,
    billed_ms=40_000.0,
    memory_mb=128,
    gb_seconds=5.0,
    cold_starts=1,
    http_requests=5000,
    read_calls=5000,
    write_calls=5000,
    read_units=5000.0,
    write_units=5000.0,
    entities=900,
    receipts=5000,
    reply_messages=0,
    accepted=5000,
    latency=spread(0.01, 0.03),
    lost=0,
    duplicates=0,
    reordered=0,
    bill={"http_requests": 0.005, "invocations": 0.001, "write_units": 0.003},
)
STREAM: Mapping[str, Any] = {
    "invocations": 12,
    "http_requests": 0,
    "records": 640,
    "put_calls": 50,
    "put_units": 640,
    "shards": 1,
    "write_calls": 40,
    "write_units": 1300.0,
    "read_units": 1300.0,
    "latency": spread(0.3, 5.3),
    "bill": {"shard_hours": 0.0002, "invocations": 0.0000024, "write_units": 0.0008},
}
AGGREGATED = msgspec.structs.replace(DIRECT, mode="aggregated", **STREAM)
BUFFERED = msgspec.structs.replace(DIRECT, mode="buffered", **{**STREAM, "invocations": 15, "records": 5000})
SKIPPED = Measurement(mode="analytics", rate=100.0, skipped="there is no Java here")


def result(*measurements: Measurement, **fields: Any) -> Result:
    given: dict[str, Any] = {
        "started": "2026-11-25T10:00:00Z",
        "target": "local",
        "workload": Workload(kind="poisson", parameters={"keys": 1000, "zipf": 1.0, "request_bytes": 184}),
        "seed": 4711,
        "seconds": 50.0,
        "window": 5.0,
        "batch": 1000,
        "config_hash": "0123456789ab",
        "price_date": "2026-11-24",
        "versions": {"tidemill": "0.1.0", "python": "3.11.7"},
    }
    return Result(**given | {"measurements": measurements or (DIRECT, BUFFERED, AGGREGATED, SKIPPED)} | fields)


@cache
def page() -> str:
    """Of the usual result."""
    return render(result())


def texts(found: Result, tone: str) -> list[str]:
    return [finding.text for finding in findings(found) if finding.tone == tone]


class Page(HTMLParser):
    """Tags in their order, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.text += data


# ---- what it says


def test_the_headline_is_the_saving_and_its_price_in_time() -> None:
    assert headline(result()) == (
        "5,000 requests → 12 invocations (aggregated): 417x fewer than direct at 100 requests a second. "
        "The price is time: p99 5.2 s instead of 30 ms."
    )


def test_where_direct_is_cheaper_the_headline_says_so() -> None:
    dear = msgspec.structs.replace(AGGREGATED, bill={"shard_hours": 0.02})
    assert headline(result(DIRECT, dear)).endswith("Direct is cheaper: $1.80 a million against $4.00.")
    assert any(
        "direct is cheaper: $1.80 a million against $4.00" in text for text in texts(result(DIRECT, dear), "plain")
    )


def test_at_each_rate_it_says_which_is_cheaper() -> None:
    slow = [msgspec.structs.replace(one, rate=1.0) for one in (DIRECT, AGGREGATED)]
    said = texts(result(*slow, DIRECT, AGGREGATED), "plain")
    assert (
        "At 100 requests a second, aggregated costs $0.20 a million instead of $1.80, 9x cheaper than direct." in said
    )
    assert any(text.startswith("At 1 request a second, ") for text in said)


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ((SKIPPED,), "Nothing was measured."),
        ((DIRECT,), "5,000 requests at 100 requests a second (direct); there is nothing to compare with."),
        ((AGGREGATED,), "direct was not measured, so there is nothing to compare with."),
        ((DIRECT, msgspec.structs.replace(AGGREGATED, latency=Latency())), "How long answers took was not measured."),
        ((DIRECT, msgspec.structs.replace(AGGREGATED, invocations=10_000)), "2x more than direct"),
    ],
)
def test_the_headline_claims_no_more_than_there_is(measured: tuple[Measurement, ...], said: str) -> None:
    assert said in headline(result(*measured))
    assert said in Page(render(result(*measured))).text


def test_the_headline_is_of_a_rate_that_all_kept_up_with() -> None:
    calm = [msgspec.structs.replace(one, rate=50.0) for one in (DIRECT, AGGREGATED)]
    late = msgspec.structs.replace(DIRECT, sent_rate=40.0)
    assert "at 50 requests a second" in headline(result(*calm, late, AGGREGATED))
    assert "at 100 requests a second" in headline(result(*calm, DIRECT, AGGREGATED))


def test_what_was_lost_doubled_or_reordered_comes_first() -> None:
    bad = msgspec.structs.replace(BUFFERED, lost=3, reordered=1)
    found = findings(result(DIRECT, bad, notes=("stopped early",)))
    assert found[0].tone == "failure"
    assert found[0].text == ("buffered at 100 requests a second: of 5,000 requests, 3 lost and 1 applied out of order.")
    assert "none was lost" not in " ".join(finding.text for finding in found)


def test_what_is_not_known_is_no_proof() -> None:
    unknown = msgspec.structs.replace(AGGREGATED, lost=None)
    assert "Of 5,000 requests (direct) none was lost" in " ".join(texts(result(DIRECT, unknown), "plain"))


def test_what_a_reader_must_know_is_told() -> None:
    troubled = msgspec.structs.replace(BUFFERED, errors=2)
    found = result(DIRECT, troubled, SKIPPED, notes=("Latencies are the local platform's.",), stopped=True)
    warnings = texts(found, "warning")
    assert "analytics was skipped: there is no Java here" in warnings
    assert "buffered at 100 requests a second: 2 requests failed." in warnings
    assert any("stopped before its end" in text for text in warnings)
    assert texts(found, "note") == ["Latencies are the local platform's."]


def test_numbers_are_short_and_have_a_unit() -> None:
    assert [number(one) for one in (0, 0.05712, 5.284, 999.6, 1234567)] == ["0", "0.0571", "5.28", "1,000", "1,234,567"]
    assert [duration(one) for one in (0, 0.00085, 0.03, 5.28, 240, 5400)] == [
        "0 s",
        "850 µs",
        "30 ms",
        "5.3 s",
        "4 min",
        "1.5 h",
    ]
    assert [dollars(one) for one in (0, 0.0044, 1.217, 12345)] == ["$0", "$0.0044", "$1.22", "$12,345"]
    assert [times(one) for one in (1.44, 416.67)] == ["1.4x", "417x"]
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


# ---- all of it is there


def test_every_figure_of_a_measurement_stands_in_the_table() -> None:
    # Each its own number, so that one shown in another's place does not hide its absence.
    numbers = {field: 1009.0 + 7 * index for index, field in enumerate(Measurement.__struct_fields__)}
    other = {"mode", "rate", "skipped", "latency", "bill"}
    known: dict[str, Any] = {field: value for field, value in numbers.items() if field not in other}
    text = Page(render(result(Measurement(mode="direct", rate=100.0, bill={"made_up": 1.0}, **known)))).text
    for field, value in known.items():
        timed = field == "span" or ("seconds" in field and field != "gb_seconds")
        shown = duration(value) if timed else f"{value:,.0f}"
        assert shown in text, field
    assert "made_up" in text


def test_the_write_units_of_a_request_are_all_and_of_them_those_of_forgotten_writers() -> None:
    measured = msgspec.structs.replace(BUFFERED, requests=1_000, write_units=120.0, forgotten_units=20.0)
    (table,) = tables(comparisons(result(measured)))
    cells = {row.name: row.cells for group in table.groups for row in group.rows}
    assert cells["write units a request"] == ("0.12",)
    assert cells["of them for forgotten writers, a request"] == ("0.02",)


@pytest.mark.parametrize(("batched", "are_replaced"), [(10_000, False), (2_500, True)])
def test_the_model_has_the_objects_that_were_put_and_their_time_in_what_was_measured(
    batched: int, are_replaced: bool
) -> None:
    direct, aggregated = (
        msgspec.structs.replace(one, object_puts=puts, object_bytes=2_048 * puts)
        for one, puts in ((DIRECT, 10_000), (AGGREGATED, batched))
    )
    found = result(direct, aggregated)
    model = reckoned(found, shown(found))
    assert model
    given = model.given
    assert (given.objects, given.object_bytes, given.s3_seconds) == (2.0, 2_048, 0.0)
    assert given.objects_replaced is are_replaced


def test_the_table_has_the_percentiles_and_says_what_is_not_known() -> None:
    text = Page(render(result(msgspec.structs.replace(DIRECT, cold_starts=None)))).text
    assert all(duration(value) in text for value in (DIRECT.latency.p50, DIRECT.latency.p95, DIRECT.latency.max))
    assert UNKNOWN in text


def test_what_the_figures_hold_for_is_told() -> None:
    text = Page(page()).text
    for said in ("2026-11-25T10:00:00Z", "poisson", "request_bytes", "4711", "0123456789ab", "2026-11-24", "3.11.7"):
        assert said in text, said


def test_there_are_five_charts_that_can_be_heard() -> None:
    charts = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page(), re.DOTALL)]
    assert len(charts) == 5
    for chart in charts:
        title, description = list(chart)[:2]
        assert chart.get("role") == "img"
        assert chart.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert title.text
        assert description.text


def test_a_chart_without_data_is_left_out_with_the_reason() -> None:
    rendered = render(result(Measurement(mode="direct", rate=1.0, requests=10)))
    assert rendered.count("<svg") == 1  # dollars by rate, which the model knows
    for why in ("invocations were counted", "No answer was timed", "gathers batches", "capacity units were counted"):
        assert why in rendered, why


def test_a_mode_that_the_model_does_not_know_leaves_its_charts_to_the_others() -> None:
    analytics = msgspec.structs.replace(AGGREGATED, mode="analytics", invocations=5)
    found = render(result(DIRECT, AGGREGATED, analytics))
    assert found.count("<svg") == 5
    assert "5 invocations (analytics)" in found
    assert "for aggregated at 100 requests a second" in found


def test_what_was_simulated_is_not_called_measured() -> None:
    charts = re.findall(r"<figure.*?</figure>", render(result(target="simulated")), re.DOTALL)
    assert "simulated" in " ".join(charts)
    assert "measured" not in " ".join(charts)


def test_settings_beyond_the_model_leave_its_charts_out() -> None:
    rendered = render(result(batch=1_000_000))
    assert rendered.count("<svg") == 3
    assert "beyond the model&#39;s" in rendered


# ---- nothing breaks out, nothing comes in


def hostile() -> Result:
    return result(
        msgspec.structs.replace(DIRECT, bill={HOSTILE: 1.0}),
        AGGREGATED,
        msgspec.structs.replace(SKIPPED, skipped=HOSTILE),
        started=HOSTILE,
        workload=Workload(kind=HOSTILE, parameters={HOSTILE: HOSTILE}),
        config_hash=HOSTILE,
        price_date=HOSTILE,
        versions={"tidemill": HOSTILE},
        notes=(HOSTILE,),
    )


def plain() -> Result:
    return msgspec.json.decode(to_json(hostile()).replace(msgspec.json.encode(HOSTILE), b'"word"'), type=Result)


def test_text_of_a_result_stays_text() -> None:
    found = Page(render(hostile()))
    assert found.tags == Page(render(plain())).tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert HOSTILE in found.text


def test_it_opens_offline() -> None:
    whole = page().replace(NAMESPACE, "")
    assert OUTSIDE.findall(whole) == []
    links = [value for name, value in Page(whole).attributes if name in ("src", "href", "action", "srcset", "poster")]
    assert all(link and link.startswith(("#", "data:,")) for link in links)
    assert "default-src 'none'" in whole


def test_ids_are_unique_and_every_reference_finds_its_own() -> None:
    attributes = Page(page()).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    references = {value[1:] for name, value in attributes if name == "href" and value and value.startswith("#")}
    references |= {value[5:-1] for name, value in attributes if name == "clip-path" and value}
    assert references <= set(ids)


def test_charts_have_the_pages_colours_and_those_are_given_for_light_and_dark() -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", page(), re.DOTALL))
    assert not re.search(r"#[0-9a-f]{6}\b", drawn)
    light, dark = page().split("@media (prefers-color-scheme: dark)")
    used = set(re.findall(r"var\((--[a-z]+)\)", drawn))
    assert {f"--{mode}" for mode in MODES} <= used
    for colour in used:
        assert f"{colour}: #" in light
        assert f"{colour}: #" in dark


def test_the_same_result_gives_the_same_page(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(to_json(result()))
    script = (
        "import sys, pathlib; from tidemill_load.report import render; "
        "from tidemill_load.results.result import from_json; "
        "sys.stdout.reconfigure(encoding='utf-8'); "
        "print(render(from_json(pathlib.Path(sys.argv[1]).read_bytes())), end='')"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "result.json"], capture_output=True, check=True)
    assert done.stdout.decode() == page()
