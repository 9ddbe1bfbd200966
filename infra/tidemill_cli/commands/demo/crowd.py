"""The generated workload as that of many producers.

Room: command line. tests/e2e/test_demo.py holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill_load.workloads.scheduled_request import ScheduledRequest


def of_many(scheduled: Iterable[ScheduledRequest], producers: int, seed: int) -> Iterator[ScheduledRequest]:
    """The requests, each from one of so many clients, evenly: every producer is a client of its own."""
    random = Random(seed)
    for one in scheduled:
        yield replace(one, client=f"client-{int(random.random() * producers)}")
