"""Limits of a load test: what they say, and what is no limit."""

from __future__ import annotations

import msgspec
import pytest

from tidemill_load.results.fail_if import COUNTS, PER_MILLION, TIMES, InvalidLimit, parse, violations
from tidemill_load.results.latency import latency
from tidemill_load.results.result import Measurement, Result, Workload

DIRECT = Measurement(
    mode="direct", rate=50.0, requests=1_000, latency=latency([0.02] * 99 + [3.0]), lost=0, errors=2, bill={"x": 0.002}
)
BUFFERED = Measurement(mode="buffered", rate=50.0, requests=1_000, latency=latency([4.5] * 100), lost=1)
RESULT = Result(
    started="2026-11-25T10:00:00Z",
    target="local",
    workload=Workload(kind="poisson", parameters={}),
    seed=1,
    seconds=20.0,
    window=5.0,
    batch=1000,
    config_hash="0",
    versions={},
    measurements=(DIRECT, BUFFERED, Measurement(mode="aggregated", rate=50.0, skipped="not here")),
)


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("lost>0", ["buffered"]),
        ("lost >= 0", ["direct", "buffered"]),
        ("direct.lost>0", []),
        ("p50>2s", ["buffered"]),
        ("p50>4500ms", []),
        ("p50>=4500ms", ["buffered"]),
        ("p50 > 0.07min", ["buffered"]),
        (" direct . max > 2 s ", ["direct"]),
        ("max<1000ms", []),
        ("direct.errors==2", ["direct"]),
        ("direct.errors!=2", []),
        ("direct.errors<=1.5", []),
        ("direct.dollars_per_million>1.9", ["direct"]),
        ("direct.dollars_per_million>2", []),
    ],
)
def test_a_limit_fails_where_it_holds(text: str, modes: list[str]) -> None:
    found = violations([parse(text)], RESULT)
    assert [reason.split(": ")[1].split()[0] for reason in found] == modes


def test_a_violation_names_the_limit_the_place_and_the_value() -> None:
    assert violations([parse("lost>0"), parse("p99>4s")], RESULT) == [
        "lost>0: buffered at 50 requests/s has lost 1",
        "p99>4s: buffered at 50 requests/s has p99 4.5 s",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("duplicates>0", "duplicates is not known"),
        ("buffered.dollars_per_million>5", "dollars_per_million is not known"),
        ("aggregated.lost>0", "aggregated was not measured"),
    ],
)
def test_what_is_not_known_has_failed(text: str, reason: str) -> None:
    assert all(reason in found for found in violations([parse(text)], RESULT))
    assert violations([parse(text)], RESULT)


def test_nothing_measured_has_failed() -> None:
    (reason,) = violations([parse("lost>0")], msgspec.structs.replace(RESULT, measurements=()))
    assert "nothing was measured" in reason


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no limit"),
        ("p99", "no limit"),
        ("p99>two", "no limit"),
        ("p99>-1s", "no limit"),
        ("p99>1s and lost>0", "no limit"),
        ("__import__('os')>0", "no limit"),
        ("p99>2", "a time: say 2s or 2ms"),
        ("p99>2h", "a time"),
        ("lost>2s", "a count"),
        ("lost>2h", "a count"),
        ("speed>2", "speed is not measured"),
        ("indirect.lost>0", "indirect is no mode"),
    ],
)
def test_what_is_no_limit_is_named(text: str, problem: str) -> None:
    with pytest.raises(InvalidLimit, match=problem.replace("(", r"\(")):
        parse(text)


@pytest.mark.parametrize("metric", [one for one in COUNTS if one != PER_MILLION])
def test_every_count_is_what_was_measured(metric: str) -> None:
    result = msgspec.structs.replace(RESULT, measurements=(msgspec.structs.replace(DIRECT, **{metric: 7}),))
    assert violations([parse(f"{metric}>6")], result) == [f"{metric}>6: direct at 50 requests/s has {metric} 7"]
    assert violations([parse(f"{metric}>7")], result) == []


@pytest.mark.parametrize("metric", TIMES)
def test_every_time_is_the_latencys(metric: str) -> None:
    measured = msgspec.structs.replace(DIRECT.latency, **{metric: 7.0})
    result = msgspec.structs.replace(RESULT, measurements=(msgspec.structs.replace(DIRECT, latency=measured),))
    assert violations([parse(f"{metric}>6s")], result) == [f"{metric}>6s: direct at 50 requests/s has {metric} 7 s"]
    assert violations([parse(f"{metric}>7s")], result) == []
