"""Whether to buffer, with which settings, and that it is said plainly."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tidemill_load.cost_model.advice import BUFFERING, Wanted, advise, dollars, what_if
from tidemill_load.cost_model.assumptions import DESIGNS, Assumptions, Impossible
from tidemill_load.cost_model.cost import cost
from tidemill_load.cost_model.model import flow
from tidemill_load.cost_model.prices import list_prices
from tidemill_load.workloads.key_distribution import KeyDistribution

PRICES = list_prices()
ANY = Wanted()


def test_at_a_thousand_requests_a_second_buffering_is_cheaper() -> None:
    advice = advise(1_000, Assumptions(), Wanted(p99=2), PRICES)
    assert (advice.buffer, advice.best) == (True, "aggregated")
    assert advice.headline == (
        "Buffering saves 75%: $0.46 instead of $1.84 per million requests; from 7.3 requests/s on."
    )
    assert advice.delivery == (
        "Without DynamoDB, replies and archive: $0.012 instead of $1.22; cheaper from 4.2 requests/s on."
    )


def test_at_one_direct_is_cheaper_and_it_says_so_and_from_when_not() -> None:
    advice = advise(1, Assumptions(), ANY, PRICES)
    assert not advice.buffer
    assert advice.headline == (
        "Direct is cheaper here: $1.84 instead of $5.62 per million requests; buffer from 4.7 requests/s on."
    )


def test_the_rate_it_names_holds() -> None:
    since = re.search(r"buffer from ([\d.]+) requests/s", advise(1, Assumptions(), ANY, PRICES).headline)
    assert since
    rate = float(since[1])
    assert advise(rate, Assumptions(), ANY, PRICES).buffer
    assert not advise(0.96 * rate, Assumptions(), ANY, PRICES).buffer


def test_where_buffering_never_pays_it_says_so() -> None:
    each_on_its_own = Assumptions(api="none", direct_writes=0, single_replies=1.0, fold=1.0, archive=False)
    advice = advise(1_000, each_on_its_own, ANY, PRICES)
    assert advice.headline.startswith("Direct is cheaper here: ")
    assert advice.headline.endswith("; and so it is at any rate.")


def test_what_is_not_possible_is_said_with_the_nearest() -> None:
    advice = advise(1_000, Assumptions(), Wanted(p99=1), PRICES)
    assert (advice.best, advice.buffer) == (None, False)
    assert "a stream is read once a second, so 1.3 s are the least. Direct costs $1.84" in advice.headline
    assert advise(1_000, Assumptions(), Wanted(p99=1.3), PRICES).best == "aggregated"


def test_where_neither_is_possible() -> None:
    headline = advise(100_000, Assumptions(), ANY, PRICES).headline
    assert headline.startswith("Buffering is not possible here: the most popular key alone brings ")
    assert headline.endswith(" Nor is direct.")


@pytest.mark.parametrize("bound", [1.3, 2.5, 6, 20, 100, 400])
@pytest.mark.parametrize("rate", [2, 40, 900])
def test_the_bound_is_kept_and_nothing_within_it_is_cheaper(rate: float, bound: float) -> None:
    advice = advise(rate, Assumptions(), Wanted(p99=bound), PRICES)
    for mode in BUFFERING:
        chosen = advice.options[mode]
        assert chosen.point.flow.p99 <= bound
        for window in {0, 1, 2, 5, 15, 60, 300, max(0, chosen.given.window - 1), min(300, chosen.given.window + 1)}:
            other = cost(mode, rate, replace(chosen.given, window=window), PRICES)
            if other.flow.p99 <= bound:
                assert chosen.point.per_million <= 1.0011 * other.per_million


def test_of_windows_as_cheap_the_shortest_is_chosen() -> None:
    """Once 6 MB fill an event before, a longer window changes nothing."""
    chosen = advise(1_000, Assumptions(), Wanted(p99=250), PRICES).options["buffered"]
    assert 7 <= chosen.given.window <= 10
    assert advise(1_000, Assumptions(), Wanted(p99=2.5), PRICES).options["buffered"].given.window == 0


def test_what_is_given_is_kept() -> None:
    option = advise(100, Assumptions(), Wanted(p99=60, window=3, batch=77), PRICES).options["aggregated"]
    assert (option.given.window, option.given.batch) == (3, 77)
    (problem,) = advise(100, Assumptions(), Wanted(p99=2, window=5), PRICES).options["buffered"].problems
    assert problem.endswith("2 s are wanted: with a window of 0 they take 1.2 s")


def test_a_batch_is_done_long_before_the_function_is_stopped() -> None:
    slow = Assumptions(request_seconds=0.05)
    option = advise(15, slow, Wanted(window=300), PRICES).options["buffered"]
    assert option.given.batch == 1_199
    assert option.point.flow.duration <= 60
    assert flow("buffered", 15, replace(slow, window=300)).problems


def test_a_million_requests_a_second() -> None:
    advice = advise(1e6, Assumptions(keys=KeyDistribution(10**7, 0.5)), Wanted(p99=30), PRICES)
    assert advice.buffer
    option = advice.options["aggregated"]
    assert option.point.flow.shards > 200
    assert option.point.flow.lanes >= option.point.flow.shards


def test_what_was_taken_for_granted_is_varied() -> None:
    advice = advise(1_000, Assumptions(), ANY, PRICES)
    found = {text: (direct.per_million, other.per_million) for text, direct, other in what_if(advice, 1_000, PRICES)}
    direct, other = (advice.options[mode].point.per_million for mode in ("direct", advice.best or "direct"))
    many = cost("buffered", 1_000, Assumptions(producers=1_000), PRICES).per_million
    assert found["1,000 producers share the rate"][1] == pytest.approx(many, rel=0.01), (
        "and no more clients are answered"
    )
    assert many > 1.1 * other, "records are not filled"
    assert found["each request is answered on its own"][1] > other + 0.5
    assert found["no archive"] == pytest.approx((direct, other - 0.07), abs=0.01)
    assert found["direct behind a function URL, no API"] == pytest.approx((direct - 1, other))
    assert found["direct made idempotent: 3 writes a request"][0] == pytest.approx(direct + 1.25)
    assert found["nobody is answered"][1] < other


def test_the_other_way_round() -> None:
    given = Assumptions(on_demand=True, clients=500, single_replies=None, api="none", archive=False, peak=2.0)
    texts = [text for text, _, _ in what_if(advise(100, given, ANY, PRICES), 100, PRICES)]
    assert texts == ["one producer", "each request is answered on its own", "provisioned shards", texts[-1]]


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1234.5, "$1,234.50"), (1.2167, "$1.22"), (0.1, "$0.10"), (0.0123, "$0.012"), (0.00001, "<$0.0001"), (0, "$0.00")],
)
def test_amounts_to_be_read(amount: float, text: str) -> None:
    assert dollars(amount) == text


def test_direct_too_has_its_delay() -> None:
    slow = advise(100, Assumptions(direct_seconds=3.0), Wanted(p99=2), PRICES).options["direct"]
    assert slow.problems == ("99 of 100 requests take up to 3.1 s, and 2 s are wanted",)


def test_every_mode_is_there() -> None:
    assert tuple(advise(10, Assumptions(), ANY, PRICES).options) == DESIGNS
    with pytest.raises(Impossible):
        advise(0, Assumptions(), ANY, PRICES)
