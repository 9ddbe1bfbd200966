"""What the load test relies on in its own workload."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import mean, pvariance

import msgspec
import pytest

from tidemill.contract.request import Request, encode
from tidemill_load.workloads.scheduled_request import ScheduledRequest
from tidemill_load.workloads.synthetic import Kind, Shape, generate


def per_second(scheduled: list[ScheduledRequest], seconds: int) -> list[int]:
    counts = Counter(int(one.at) for one in scheduled)
    return [counts[second] for second in range(seconds)]


def test_a_seed_means_the_same_requests_every_time() -> None:
    runs = [list(generate(Shape(), 50, 5, seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("kind", ["poisson", "bursty"])
def test_the_mean_rate_is_what_was_asked_for(kind: Kind) -> None:
    scheduled = list(generate(Shape(kind), 50, 4_000, seed=3))
    assert abs(len(scheduled) / (50 * 4_000) - 1) < 0.1
    assert all(0 <= earlier.at <= later.at < 4_000 for earlier, later in pairwise(scheduled))


def test_poisson_arrivals_are_independent_and_bursts_are_not() -> None:
    """The variance of counts is their mean if they are; bursts make it many times as large."""
    spread = {}
    for kind in ("poisson", "bursty"):
        counts = per_second(list(generate(Shape(kind), 100, 1_000, seed=5)), 1_000)
        spread[kind] = pvariance(counts) / mean(counts)
    assert 0.8 < spread["poisson"] < 1.2
    assert spread["bursty"] > 20


def test_keys_are_as_popular_as_zipf_says() -> None:
    counts = Counter(one.key for one in generate(Shape(keys=100, zipf=1.0), 1_000, 60, seed=7))
    total = sum(counts.values())
    harmonic = sum(1 / rank for rank in range(1, 101))
    for rank in (1, 2, 10):
        assert abs(counts[f"content/{rank}"] * rank * harmonic / total - 1) < 0.1
    assert len(counts) == 100


def test_without_skew_all_keys_are_alike() -> None:
    counts = Counter(one.key for one in generate(Shape(keys=10, zipf=0), 1_000, 30, seed=7))
    assert len(counts) == 10
    assert max(counts.values()) < 1.2 * min(counts.values())


def test_requests_that_want_objects_say_so_and_are_no_larger() -> None:
    for shape in (Shape(objects=2, object_bytes=9), Shape(objects=2, object_bytes=9, request_bytes=10)):
        data = next(generate(shape, 100, 1, seed=1)).data
        assert (data["objects"], data["object_bytes"]) == (2, 9)
    plain, wanting = (next(generate(one, 100, 1, seed=1)) for one in (Shape(), Shape(objects=2)))
    assert len(msgspec.json.encode(plain.data)) == len(msgspec.json.encode(wanting.data))


@pytest.mark.parametrize("size", [300, 2_000])
def test_requests_have_the_size_that_was_asked_for(size: int) -> None:
    for number, one in enumerate(generate(Shape(request_bytes=size), 100, 1, seed=1)):
        request = Request(
            id="0" * 36, cmd=one.cmd, key=one.key, client=one.client, writer="w" * 12, counter=number, data=one.data
        )
        assert abs(len(encode(request)) - size) < 40
