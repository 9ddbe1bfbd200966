"""What modes cost at a rate, and where they are even."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill_deploy.template import load, template_path
from tidemill_load.cost_model.assumptions import DESIGNS, Api, Assumptions, Design, Plan
from tidemill_load.cost_model.bill import PARTS, Part
from tidemill_load.cost_model.cost import ARCHIVE_BYTES, ARCHIVE_SECONDS, break_even, cost, counts, curve
from tidemill_load.cost_model.model import flow
from tidemill_load.workloads.key_distribution import KeyDistribution

DELIVERY: tuple[Part, ...] = ("delivery",)
EVENLY = Assumptions(
    size=184,
    key_bytes=13,
    keys=KeyDistribution(10**7, 0.0),
    arrivals="even",
    lanes=1,
    linger=0.5,
    record_bytes=256 * 1024,
    invocation_seconds=0.010,
    request_seconds=0.0,
)
"""What the table rests on: requests that come evenly, full records, 10 ms an invocation; a window of 5 s."""

DOLLARS: list[tuple[float, tuple[float, ...]]] = [
    # direct, client to stream, aggregated, HTTP API in front of the stream
    (1, (1.217, 4.28, 4.28, 5.28)),
    (10, (1.217, 0.441, 0.428, 1.44)),
    (100, (1.217, 0.057, 0.043, 1.06)),
    (1_000, (1.217, 0.018, 0.0044, 1.02)),
    (10_000, (1.217, 0.018, 0.0010, 1.02)),
]


@pytest.mark.parametrize(("rate", "row"), DOLLARS)
def test_dollars_of_delivery(rate: float, row: tuple[float, ...]) -> None:
    for mode, dollars in zip(DESIGNS, row, strict=True):
        assert cost(mode, rate, EVENLY).bill.part("delivery") == pytest.approx(dollars, rel=0.1)


@pytest.mark.parametrize(
    ("mode", "on_demand", "rate"),
    [
        ("buffered", False, 3.5),
        ("aggregated", False, 3.5),
        ("buffered", True, 9.8),
        ("aggregated", True, 9.8),
        ("http-in-front", False, 20.5),
    ],
)
def test_break_even_of_delivery(mode: Design, on_demand: bool, rate: float) -> None:
    found = break_even(mode, replace(EVENLY, on_demand=on_demand), parts=DELIVERY)
    assert found == pytest.approx(rate, rel=0.1)


def dearer(mode: Design, rate: float, given: Assumptions) -> bool:
    return cost(mode, rate, given).per_million >= cost("direct", rate, given).per_million


@pytest.mark.parametrize(
    "given",
    [
        Assumptions(),
        Assumptions(on_demand=True),
        Assumptions(api="none", single_replies=1.0, window=60),
        Assumptions(api="none", on_demand=True, window=60, size=3_000),
        Assumptions(on_demand=True, size=3_000, window=0, clients=100, keys=KeyDistribution(10**6, 0.3)),
    ],
)
@pytest.mark.parametrize("mode", ["buffered", "aggregated"])
def test_below_it_is_dearer_and_from_there_on_it_is_cheaper(mode: Design, given: Assumptions) -> None:
    even = break_even(mode, given)
    assert even
    assert dearer(mode, 0.999 * even, given)
    rates = [even * factor for factor in (1.001, 1.1, 1.3, 2, 4, 10, 100)]
    assert not any(dearer(mode, rate, given) for rate in rates if rate < 1e6)


def test_where_nothing_is_saved_there_is_none() -> None:
    assert break_even("http-in-front", Assumptions(api="rest", direct_writes=0, fold=1.0)) is None


def test_a_curve_has_a_point_for_each_rate() -> None:
    points = curve("buffered", (1, 10, 100), Assumptions())
    assert [point.rate for point in points] == [1, 10, 100]
    assert points[0].per_million > points[1].per_million > points[2].per_million
    assert points[2] == cost("buffered", 100, Assumptions())


def test_a_month_of_each_count() -> None:
    """By hand, at 100 requests/s: 262.8 million requests a month, in batches of 500."""
    given = Assumptions(fold=0.5, arrivals="even", size=200)
    month = counts(flow("buffered", 100, given), given)
    requests = 262_800_000
    assert month.requests == pytest.approx(requests)
    assert month.invocations == pytest.approx(requests / 500)
    assert month.gb_seconds == pytest.approx(requests / 500 * 0.040 * 1769 / 1024)
    assert month.put_units == pytest.approx(requests)
    assert month.shard_hours == 730
    assert month.read_units == pytest.approx(requests / 2)
    assert month.write_units == pytest.approx(requests / 2 + requests / 500), "an invocation notes that it begins"
    assert month.sns_messages == pytest.approx(requests / 500)
    assert month.sqs_requests == pytest.approx(2 * requests / 500)
    assert month.firehose_bytes == pytest.approx(requests * 5120)
    assert month.s3_puts == pytest.approx(730 * 60)
    assert month.s3_byte_months == pytest.approx(requests * 50)
    assert month.http_requests == month.stream_hours == month.stream_bytes_in == 0


def test_a_batch_of_aggregates_looks_up_how_far_its_first_record_was_done() -> None:
    given = Assumptions(fold=0.5)
    month = counts(flow("aggregated", 10_000, given), given)
    assert month.read_units == pytest.approx(month.requests / 2 + month.invocations)


def test_what_is_rounded_up() -> None:
    given = Assumptions(size=5_200, item_bytes=4_100, on_demand=True, fold=1.0)
    happens = flow("buffered", 10, given)
    month = counts(happens, given)
    assert month.stream_bytes_in == pytest.approx(month.requests * 6 * 1024)
    assert month.stream_bytes_out == pytest.approx(month.requests * 5_200 * 2), "the function and Firehose read it"
    assert month.firehose_bytes == pytest.approx(month.requests * 2 * 5_120)
    assert month.write_units == pytest.approx(5 * month.requests + month.invocations)
    assert month.read_units == pytest.approx(2 * month.requests)
    assert (month.put_units, month.shard_hours, month.stream_hours) == (0, 0, 730)


def test_large_records_take_more_units() -> None:
    given = Assumptions(size=60_000)
    month = counts(flow("buffered", 10, given), given)
    assert month.put_units == pytest.approx(3 * month.requests)


@pytest.mark.parametrize("mode", DESIGNS)
def test_arm64_takes_as_long_and_costs_a_fifth_less(mode: Design) -> None:
    usual, given = Assumptions(), Assumptions(arm64=True)
    x86, arm = (counts(flow(mode, 100, its), its) for its in (usual, given))
    assert (arm.gb_seconds, arm.arm_gb_seconds) == (0, x86.gb_seconds)
    before, after = (
        sum(line.dollars for line in cost(mode, 100, its).bill.lines if "gb_seconds" in line.item)
        for its in (usual, given)
    )
    assert after == pytest.approx(0.8 * before, rel=1e-4)


@pytest.mark.parametrize("mode", DESIGNS)
def test_objects_cost_the_same_in_each_design(mode: Design) -> None:
    given = Assumptions(objects=2, object_bytes=10_240)
    month = counts(flow(mode, 100, given), given)
    assert month.object_puts == pytest.approx(2 * month.requests)
    assert month.object_byte_months == pytest.approx(2 * month.requests * 10_240 * 30 * 24 / 730)
    assert cost(mode, 100, given).bill.part("objects") == pytest.approx(10 + 2e6 * 10_240 / 2**30 * 0.023 * 720 / 730)


def test_of_objects_that_are_replaced_a_batch_stores_the_last_of_each_item() -> None:
    given = Assumptions(objects=2, objects_replaced=True, fold=0.25)
    direct, batched = (counts(flow(mode, 100, given), given) for mode in ("direct", "aggregated"))
    assert direct.object_puts == pytest.approx(2 * direct.requests)
    assert batched.object_puts == pytest.approx(2 * batched.requests / 4)
    assert batched.object_byte_months == pytest.approx(direct.object_byte_months / 4)


@pytest.mark.parametrize("mode", DESIGNS[1:])
def test_large_data_is_put_and_got_and_its_claim_check_streamed(mode: Design) -> None:
    given = Assumptions(size=5 * 1024 * 1024)
    happens = flow(mode, 10, given)
    month = counts(happens, given)
    assert month.upload_puts == month.upload_gets == month.requests
    assert month.upload_byte_months == pytest.approx(month.requests * 5 * 2**20 * 30 * 24 / 730)
    assert happens.record_bytes / happens.requests_per_record < 600
    assert month.s3_byte_months < 500 * month.requests, "of the archive, which has the claim check"
    delivered = cost(mode, 10, given).bill.part("delivery")
    assert delivered > 1e6 * (0.005 + 0.0004) / 1000 + 5e6 / 1024 * 0.023 * 720 / 730


def test_direct_takes_large_data_in_its_call_which_an_http_api_bills_by_its_size() -> None:
    given = Assumptions(size=5 * 1024 * 1024)
    month = counts(flow("direct", 10, given), given)
    assert month.http_requests == 10 * month.requests
    assert month.upload_puts == month.upload_gets == month.upload_byte_months == 0
    rest = counts(flow("direct", 10, replace(given, api="rest")), replace(given, api="rest"))
    assert rest.rest_requests == rest.requests


def test_without_a_claim_check_data_travels_on_the_stream() -> None:
    given = Assumptions(size=100_000, claim_check=None)
    month = counts(flow("buffered", 10, given), given)
    assert month.upload_puts == 0
    assert month.put_units == pytest.approx(4 * month.requests)


def test_what_stands_in_front() -> None:
    apis: tuple[tuple[Api, int, int], ...] = (("http", 1, 0), ("rest", 0, 1), ("none", 0, 0))
    for api, http, rest in apis:
        given = Assumptions(api=api)
        direct = counts(flow("direct", 10, given), given)
        assert (direct.http_requests, direct.rest_requests) == (http * direct.requests, rest * direct.requests)
    given = Assumptions(api="none")
    front = counts(flow("http-in-front", 10, given), given)
    assert front.http_requests == front.requests, "a function URL cannot put a record"


def test_parts_left_out_are_not_billed() -> None:
    plain = cost("aggregated", 100, Assumptions()).bill
    assert {part for part in PARTS if not plain.part(part)} == {"objects", "users"}
    bare = cost("aggregated", 100, Assumptions(archive=False, single_replies=None)).bill
    assert (bare.part("archive"), bare.part("replies")) == (0, 0)
    assert bare.part("database") == pytest.approx(plain.part("database"))


@pytest.mark.parametrize(("plan", "dollars"), [("LITE", 55.0), ("ESSENTIALS", 150.0), ("PLUS", 200.0)])
def test_who_signs_in_is_billed_by_the_month_alike_in_each_design(plan: Plan, dollars: float) -> None:
    plain, given = Assumptions(), Assumptions(users=10_000, plan=plan)
    for design in DESIGNS:
        more = cost(design, 100, given).bill.total - cost(design, 100, plain).bill.total
        assert more == pytest.approx(dollars)
    assert break_even("aggregated", given) == pytest.approx(break_even("aggregated", plain) or 0)
    half = counts(flow("direct", 100, given), given, hours=365)
    assert half.lite_users + half.essentials_users + half.plus_users == 5_000


def test_single_replies_cost_more_than_shared_ones() -> None:
    shared, single = (cost("buffered", 100, Assumptions(single_replies=share)).bill.part("replies") for share in (0, 1))
    assert single > 0.5 > 0.01 > shared


def test_the_archives_files_are_the_templates() -> None:
    template: Any = load(template_path())
    parameters = template["Parameters"]
    assert parameters["ArchiveIntervalSeconds"]["Default"] == ARCHIVE_SECONDS
    assert parameters["ArchiveSizeMiB"]["Default"] * 1024 * 1024 == ARCHIVE_BYTES
