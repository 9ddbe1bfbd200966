"""Clients are dealt out to producers: each has one, and as many clients as producers have one each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill_bench.fleet import Spread


def test_as_many_clients_as_producers_have_a_producer_each() -> None:
    spread = Spread(100)
    assert sorted(spread.of(f"c{n}") for n in range(100)) == list(range(100))
    assert spread.busy == 100


@given(st.lists(st.sampled_from("abcdefgh"), max_size=50), st.integers(1, 5))
def test_a_client_keeps_its_producer_and_producers_have_equally_many(clients: list[str], producers: int) -> None:
    spread = Spread(producers)
    found: dict[str, int] = {}
    for client in clients:
        assert found.setdefault(client, spread.of(client)) == spread.of(client)
    of_each = [list(found.values()).count(number) for number in range(producers)]
    assert max(of_each) - min(of_each) <= 1
    assert spread.busy == len(set(found.values()))
