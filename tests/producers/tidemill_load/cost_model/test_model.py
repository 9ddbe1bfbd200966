"""What happens at a rate: invocations, folded writes, replies, delay, and what cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from tidemill.contract.claim_check import claim_check
from tidemill.contract.request import Request, encode
from tidemill_consumers.adapters.content import objects as objects_adapter
from tidemill_consumers.adapters.content import uploads
from tidemill_consumers.core import pieces
from tidemill_consumers.core.calling import objects
from tidemill_deploy.template import load, template_path
from tidemill_load.cost_model.assumptions import (
    MAX_OBJECT_BYTES,
    MAX_OBJECTS,
    S3_AT_ONCE,
    UPLOAD_DAYS,
    Assumptions,
    Design,
    Impossible,
    Plan,
)
from tidemill_load.cost_model.model import PIECE_BYTES, TIMEOUT, flow
from tidemill_load.workloads.key_distribution import KeyDistribution

EVENLY = Assumptions(
    size=184,
    key_bytes=13,  # with the key's two bytes in the format, 209 bytes a request
    keys=KeyDistribution(10**7, 0.0),
    arrivals="even",
    lanes=1,
    record_bytes=256 * 1024,
    invocation_seconds=0.010,
    request_seconds=0.0,
)
"""What the table rests on: requests that come evenly over all shards, and records as full as the window allows."""

INVOCATIONS: list[tuple[Design, float, tuple[int, ...]]] = [
    # windows of 1, 5, 60 and 300 s
    ("buffered", 1, (1_000_000, 200_000, 16_700, 3_333)),
    ("buffered", 10, (100_000, 20_000, 1_667, 333)),
    ("buffered", 100, (10_000, 2_000, 167, 135)),
    ("buffered", 1_000, (1_000, 200, 135, 135)),
    ("buffered", 10_000, (1_000, 200, 135, 135)),
    ("buffered", 100_000, (1_000, 200, 135, 135)),
    ("aggregated", 1, (1_000_000, 200_000, 16_700, 3_333)),
    ("aggregated", 10, (100_000, 20_000, 1_667, 333)),
    ("aggregated", 100, (10_000, 2_000, 167, 44)),
    ("aggregated", 1_000, (1_000, 200, 44, 44)),
    ("aggregated", 10_000, (200, 44, 44, 44)),
    ("aggregated", 100_000, (200, 44, 44, 44)),
]


@pytest.mark.parametrize(("mode", "rate", "row"), INVOCATIONS)
def test_invocations_per_million(mode: Design, rate: float, row: tuple[int, ...]) -> None:
    for window, invocations in zip((1, 5, 60, 300), row, strict=True):
        happens = flow(mode, rate, replace(EVENLY, window=window, linger=window / 10))
        assert happens.invocations_per_million == pytest.approx(invocations, rel=0.1)


def test_as_the_sdk_fills_records_the_floor_is_higher() -> None:
    """It puts a record after 100 ms, of one of 64 lanes, and of 25 KB at most; the table takes none of the three."""
    given = Assumptions(size=184, window=300, keys=KeyDistribution(10_000, 1.0))
    floors = [flow("aggregated", rate, given).invocations_per_million for rate in (1_000, 10_000, 40_000)]
    assert floors == [pytest.approx(94, rel=0.05), pytest.approx(53, rel=0.05), pytest.approx(47, rel=0.05)]


@pytest.mark.parametrize(("window", "fewer"), [(5, 2.8), (10, 4.4), (60, 20.6)])
def test_a_real_sites_trace(window: int, fewer: float) -> None:
    """0.7 requests/s on two shards, counted on a real access log: at low rates savings are bought with delay."""
    given = Assumptions(window=window, batch=100, keys=KeyDistribution(10**7, 0.0))
    shard = flow("buffered", 0.35, given)
    assert shard.batch == pytest.approx(fewer, rel=0.1)


def test_a_batch_writes_each_item_once() -> None:
    given = Assumptions(window=5)
    assert flow("direct", 100, given).distinct == 1
    happens = flow("buffered", 200, given)
    assert happens.distinct == pytest.approx(given.keys.distinct(1_000), rel=0.01)
    assert flow("buffered", 200, replace(given, fold=0.25)).distinct == pytest.approx(250, rel=0.01)


def test_shards_fold_less_than_one() -> None:
    given = Assumptions(keys=KeyDistribution(10_000, 0.0), window=1)
    eight = flow("buffered", 8_000, given)
    assert eight.shards == 8
    assert eight.distinct * eight.shards == pytest.approx(given.keys.distinct(8_000), rel=0.02)


def test_replies_of_a_batch() -> None:
    given = Assumptions(window=5, clients=10)
    assert flow("buffered", 200, given).messages == pytest.approx(10)
    assert flow("buffered", 200, replace(given, single_replies=1.0)).messages == pytest.approx(1_000, rel=0.01)
    half = flow("buffered", 200, replace(given, single_replies=0.5))
    assert half.messages == pytest.approx(510, rel=0.01)
    assert half.listeners == pytest.approx(10)
    nobody = flow("buffered", 200, replace(given, single_replies=None))
    assert (nobody.messages, nobody.listeners) == (0, 0)


def test_delay_is_the_reading_the_window_and_the_work() -> None:
    given = Assumptions(window=0, linger=0.0, single_replies=None, invocation_seconds=0.0, request_seconds=0.0)
    assert flow("buffered", 1_000, given).p50 == pytest.approx(0.5 + 0.02)
    assert flow("buffered", 1_000, given).p99 == pytest.approx(0.99 + 0.02)
    assert flow("buffered", 100, replace(given, window=5)).p50 == pytest.approx(3.5 + 0.02, rel=0.02)
    assert flow("buffered", 100, replace(given, window=5)).p99 == pytest.approx(5.95 + 0.02, rel=0.02)
    slower = replace(given, invocation_seconds=0.3, linger=0.1, single_replies=0.0)
    assert flow("buffered", 100, slower).p99 == pytest.approx(0.99 + 0.02 + 0.3 + 0.099 + 0.05)
    assert flow("direct", 100, given).p99 < 0.1


def test_what_the_function_cannot_do() -> None:
    (problem,) = flow("buffered", 40, Assumptions(window=300, request_seconds=0.1)).problems
    assert "is stopped after 120 s" in problem
    (problem,) = flow("buffered", 1_000, Assumptions(batch=1)).problems
    assert problem == "a shard's batches of 1 records come faster than they are done; 21 are the least"
    assert flow("buffered", 1_000, Assumptions(batch=21)).problems == ()


def test_direct_writes_a_hot_item_once_for_each_request() -> None:
    (problem,) = flow("direct", 20_000, Assumptions()).problems
    assert "takes 2,043 write units a second, and an item has 1,000: with these keys 9,787 requests/s" in problem
    assert flow("direct", 9_780, Assumptions()).problems == ()
    assert flow("direct", 20_000, Assumptions(direct_writes=0)).problems == ()


def test_what_is_too_large_without_a_claim_check_and_objects_of_more_than_a_request_may_have() -> None:
    message = "a request of 300,000 bytes is not possible; 262,144 are the most: larger data is uploaded with a claim"
    with pytest.raises(Impossible, match=message):
        Assumptions(size=300_000, claim_check=None)
    with pytest.raises(Impossible, match="3 objects of 400,000 bytes are not possible; those of a request have 1,048"):
        Assumptions(objects=3, object_bytes=400_000)


def test_s3s_limits_are_the_functions() -> None:
    assert (MAX_OBJECTS, MAX_OBJECT_BYTES) == (objects.MAX_OBJECTS, objects.MAX_OBJECT_BYTES)
    assert objects_adapter.CALLS_AT_ONCE == uploads.CALLS_AT_ONCE == S3_AT_ONCE
    assert PIECE_BYTES == pieces.MOST_UPLOADED
    assert load(template_path())["Parameters"]["ContentDays"]["Default"] == UPLOAD_DAYS


def test_a_claim_check_is_as_large_as_a_request_with_one() -> None:
    given, client = Assumptions(size=100_000), "us-east-1:12345678-1234-1234-1234-123456789012"
    request = Request(
        id="0" * 36,
        cmd="content.view",
        key="k" * given.key_bytes,
        client=client,
        writer="w" * 12,
        counter=10_000,
        at=1_764_000_000_000,
        data={},
        ref=claim_check(client, b"x" * given.size),
    )
    assert given.streamed_bytes == pytest.approx(len(encode(request)), rel=0.05)


def test_calls_of_s3_take_time_some_at_once_in_a_batch() -> None:
    plain, given = Assumptions(fold=1.0), Assumptions(fold=1.0, objects=2)
    assert flow("direct", 10, given).duration == pytest.approx(0.008 + 0.020)
    one, other = (flow("buffered", 10, its) for its in (plain, given))
    assert other.duration - one.duration == pytest.approx(other.batch * 2 * 0.020 / 16, rel=0.01)
    uploaded = flow("buffered", 10, replace(plain, size=100_000))
    assert uploaded.duration - one.duration == pytest.approx(uploaded.batch * 0.020 / 16, rel=0.01)
    assert uploaded.p99 > one.p99 + 0.020, "and the client waits for its own"


def test_a_batch_of_more_uploads_than_fit_in_memory_folds_and_answers_by_pieces() -> None:
    given = Assumptions(size=1024 * 1024, keys=KeyDistribution(1, 0.0))
    few = flow("buffered", 1, given)
    assert few.batch == pytest.approx(6, rel=0.2)
    assert (few.distinct, few.messages) == (1, 1)
    many = flow("buffered", 100, given)
    assert many.distinct == many.messages == pytest.approx(many.batch / 8)


@pytest.mark.parametrize("rate", [0, -1, 1_000_001, float("nan")])
def test_rates_that_are_none(rate: float) -> None:
    with pytest.raises(Impossible, match="use more than 0, at most 1,000,000"):
        flow("buffered", rate, Assumptions())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "size",
            6_000_000,
            "a size of a request of 6,000,000 is not possible; the nearest is 5,242,880",
        ),
        ("objects", 17, "a number of objects of 17 is not possible; the nearest is 16"),
        ("object_bytes", 0, "a size of an object of 0 is not possible; the nearest is 1"),
        ("claim_check", 300_000, "a size above which data is uploaded of 300,000 is not possible; the nearest is 262"),
        ("size", 0, "a size of a request of 0 is not possible; the nearest is 1"),
        ("window", 301, "a window, in seconds, of 301 is not possible; the nearest is 300"),
        ("batch", 10_001, "a batch of 10,001 is not possible; the nearest is 10,000"),
        ("lanes", 65, "use a power of two from 1 to 1,024"),
        ("memory", 64, "the nearest is 128"),
        ("single_replies", 1.5, "the nearest is 1"),
        ("linger", float("nan"), "linger"),
    ],
)
def test_settings_that_are_not_possible_are_told_with_the_nearest(field: str, value: float, message: str) -> None:
    with pytest.raises(Impossible) as told:
        Assumptions(**{field: value})  # type: ignore[arg-type] # one of them
    assert message in str(told.value)


def test_the_defaults_are_the_templates() -> None:
    template: Any = load(template_path())
    apply = template["Resources"]["Apply"]["Properties"]
    assert Assumptions().window == template["Parameters"]["BatchingWindowSeconds"]["Default"]
    assert apply["MemorySize"] == {"Ref": "MemoryMiB"}
    memory = template["Parameters"]["MemoryMiB"]["Default"]
    assert (Assumptions().memory, TIMEOUT) == (memory, apply["Timeout"])
    assert Assumptions().plan == template["Parameters"]["UserPoolTier"]["Default"]
    assert get_args(Plan) == tuple(template["Parameters"]["UserPoolTier"]["AllowedValues"])
