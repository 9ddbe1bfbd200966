"""The figures on the page about costs are the model's."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tree import ROOT
from tidemill_load.cost_model.assumptions import DESIGNS, Assumptions, Design
from tidemill_load.cost_model.bill import PARTS, Part
from tidemill_load.cost_model.cost import break_even, cost
from tidemill_load.cost_model.model import flow
from tidemill_load.cost_model.packing import EVENT_RECORD, stream
from tidemill_load.cost_model.prices import list_prices, read_prices
from tidemill_load.workloads.key_distribution import KeyDistribution

PAGE = (ROOT / "docs" / "cost.md").read_text()
TEXT = " ".join(PAGE.split())
"""However its lines are broken."""

DELIVERY: tuple[Part, ...] = ("delivery",)


def cells(pattern: str) -> list[str]:
    found = re.search(pattern, PAGE, re.MULTILINE)
    assert found, pattern
    return [cell.strip().replace(",", "") for cell in found[0].strip("|").split("|")[1:]]


@pytest.mark.parametrize("mode", DESIGNS[1:])
@pytest.mark.parametrize(("what", "parts"), [("everything", PARTS), ("delivery alone", DELIVERY)])
def test_break_even(mode: Design, what: str, parts: tuple[Part, ...]) -> None:
    provisioned, on_demand = cells(rf"^\| {mode}, {what} \|.*\|$")
    for shown, kind in ((provisioned, False), (on_demand, True)):
        even = break_even(mode, replace(Assumptions(), on_demand=kind), parts=parts)
        assert even
        assert shown == f"{even:.2g}"


@pytest.mark.parametrize("rate", [1, 10, 100, 1_000])
def test_dollars_per_million(rate: int) -> None:
    shown = cells(rf"^\| {rate:,} \|.*\|$")
    assert shown == [f"{cost(mode, rate, Assumptions()).per_million:.2f}" for mode in DESIGNS]


def test_the_figures_in_its_sentences() -> None:
    assert f"A shard costs ${list_prices().items['shard_hours'].of(730):.2f} a month" in TEXT
    assert f"a direct request costs ${cost('direct', 1, Assumptions()).per_million:.2f} a million" in TEXT
    assert f"a record takes {EVENT_RECORD} bytes" in TEXT
    sdk = Assumptions(size=184, window=300, keys=KeyDistribution())
    floors = [round(flow("aggregated", rate, sdk).invocations_per_million) for rate in (1_000, 10_000, 40_000)]
    assert "{} at 1,000 requests/s, {} at 10,000 and {} at 40,000".format(*floors) in TEXT
    filled = [round(stream("aggregated", rate, Assumptions()).record.requests) for rate in (1_000, 10_000)]
    assert filled == [2, 16]


def test_the_figures_on_objects_and_large_data() -> None:
    def dollars(mode: Design, rate: float, given: Assumptions) -> str:
        return f"${cost(mode, rate, given).per_million:.2f}"

    prices, few = list_prices().items, KeyDistribution(100)
    put, get, month = prices["s3_puts"].of(1e6), prices["s3_gets"].of(1e6), prices["s3_byte_months"].of(2**30)
    assert f"A put to S3 costs ${put:.2f} a million, as much as eight write units" in TEXT
    assert put == 8 * prices["write_units"].of(1e6)
    assert f"a get ${get:.2f}, and a GB ${month:g} a month" in TEXT
    one = Assumptions(objects=1)
    plain = f"direct costs {dollars('direct', 100, one)} a million with one object of 16 KB"
    assert f"{plain}, and aggregated {dollars('aggregated', 100, one)}." in TEXT
    replaced = Assumptions(objects=1, objects_replaced=True, keys=few)
    assert f"with 100 keys that leaves {dollars('aggregated', 100, replaced)}." in TEXT
    large = Assumptions(size=1024 * 1024)
    short = dollars("aggregated", 10, replace(large, upload_days=2))
    direct, aggregated = (dollars(mode, 10, large) for mode in ("direct", "aggregated"))
    assert f"at 10 requests/s of 1 MB {direct} a million instead of {aggregated}, or {short} with uploads" in TEXT
    assert break_even("aggregated", large) is None


@pytest.mark.parametrize("mode", DESIGNS[1:])
def test_what_eats_the_saving(mode: Design) -> None:
    given = Assumptions(single_replies=1.0, api="none", fold=1.0, clients=1_000)
    assert break_even(mode, given) is None


def test_its_defaults_are_the_models() -> None:
    given = Assumptions()
    assert f"| request, key | {given.size} and {given.key_bytes} bytes |" in PAGE
    assert f"| keys | {given.keys.count:,} by Zipf's law, exponent {given.keys.skew:g};" in PAGE
    direct = f"{1000 * given.direct_seconds:g} ms at {given.direct_memory} MB, one write of 1 KB"
    assert f"| direct function | {direct}, not idempotent |" in PAGE
    times = f"{1000 * given.invocation_seconds:g} ms a batch and {1e6 * given.request_seconds:g} us a request"
    assert f"| apply function | {times} at {given.memory:,} MB |" in PAGE
    assert (given.item_bytes, given.direct_writes, given.clients, given.window) == (1024, 1, 1, 5)


def test_its_example_of_prices_is_read(tmp_path: Path) -> None:
    example = re.search(r"((?:    .*\n|\n)+)\Z", PAGE)
    assert example
    own = tmp_path / "own.toml"
    own.write_text(re.sub(r"^    ", "", example[1], flags=re.MULTILINE))
    assert read_prices(own).items["shard_hours"].dollars == 0.018
