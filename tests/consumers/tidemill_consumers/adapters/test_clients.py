"""A client that is made at need: once, by whoever comes first."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from tidemill_consumers.adapters.clients import at_need


def test_it_is_made_when_first_used_and_once_however_many_use_it() -> None:
    made: list[int] = []

    def make() -> SimpleNamespace:
        made.append(1)
        time.sleep(0.01)
        return SimpleNamespace(put=lambda number: number + 1, meta="its")

    client = at_need(make)
    assert made == []
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: client.put(number), range(8))) == list(range(1, 9))
    assert client.meta == "its"
    assert made == [1]


def test_a_failure_to_make_it_is_told_each_time() -> None:
    tries: list[int] = []

    def make() -> SimpleNamespace:
        tries.append(1)
        if len(tries) < 2:
            raise OSError("not now")
        return SimpleNamespace(put=1)

    client = at_need(make)
    for _ in range(2):
        try:
            assert client.put == 1
        except OSError:
            continue
    assert tries == [1, 1]
