"""The built-in workload: a media-sharing crowd with a real site's rhythm and skew.

Room: load. Deterministic: the same number of requests and the same seed give the same requests.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias

from tidemill_load.workloads.calibration import (
    CLIENTS,
    MINUTES,
    MISSING,
    PAGES,
    REQUESTS,
    REQUESTS_PER_QUARTER_HOUR,
)
from tidemill_load.workloads.scheduled_request import ScheduledRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill.contract.request import Document

    Wish: TypeAlias = tuple[str, str, str, Document]
    """cmd, key, client, data: a scheduled request but for its time."""

MEAN_RATE: Final = REQUESTS / (MINUTES * 60)
"""Requests a second at speed 1: the real site's own rate."""

# What a visitor asks for: cumulative per mille. No source counts these; the shares are those of a site that
# is mostly looked at. Publishing comes on top, once before a content is first asked for.
_WISHES: Final = ("like", "user", "update", "delete", "view")
_SHARES: Final = (80, 110, 120, 128, 1000)

_POPULAR: Final = 100
"""The contents of the first ranks are never deleted: nobody deletes what a thousand people look at."""

_NEVER: Final = 1_000_000_000
"""Contents from this number on are asked for and were never published."""

_FIRST: Final = (
    "Ada",
    "Bela",
    "Chen",
    "Dalia",
    "Emeka",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Jun",
    "Kofi",
    "Lena",
)
_LAST: Final = ("Adler", "Boateng", "Costa", "Dahl", "Evans", "Fischer", "Garcia", "Haddad", "Ito", "Jansen")
_ADJECTIVES: Final = ("Quiet", "Golden", "Distant", "Early", "Salted", "Broken", "Bright", "Slow", "Hidden")
_NOUNS: Final = ("Tide", "Harbour", "Mill", "Lantern", "Dune", "Ferry", "Causeway", "Gull", "Morning")


def generate(requests: int, seed: int) -> Iterator[ScheduledRequest]:
    """`requests` scheduled requests, as a media-sharing app's users would send them.

    The whole arrival curve of the real site (see calibration) is stretched or squeezed so that the mean rate
    stays the site's own, 0.67 requests a second: 30,969 requests take 12.9 h, 1,000 take 25 minutes. So a
    replay's speed counts how many such sites it stands for. Contents and clients are as popular and as active
    as the site's were; a content is published when it is first asked for, so short workloads publish more.

    The rules accept nearly all. They refuse users with a digit in the name, with a malformed e-mail or one
    already taken, and the site's share (0.7%) of views of contents that do not exist.
    """
    random = Random(seed)
    crowd = _Crowd(random)
    for at in _arrivals(requests, random):
        yield ScheduledRequest(at, *crowd.next_wish())


def _arrivals(requests: int, random: Random) -> Iterator[float]:
    """Sorted moments, distributed as the curve: independent visitors, so at random within it, not evenly.

    Sorted uniform numbers are drawn one after the other (each the smallest of those left), so that a workload
    of any size takes no memory; the inverse of the curve's distribution then bends them.
    """
    totals = list(accumulate(REQUESTS_PER_QUARTER_HOUR, initial=0))
    stretch = requests / REQUESTS
    beyond = 1.0
    for left in range(requests, 0, -1):
        beyond *= random.random() ** (1 / left)
        yield _moment((1 - beyond) * REQUESTS, totals) * stretch


def _moment(rank: float, totals: Sequence[int]) -> float:
    """Seconds since the trace's start at which its request number `rank` came."""
    quarter = min(bisect_right(totals, rank) - 1, len(totals) - 2)
    minutes = min(15, MINUTES - 15 * quarter)
    share = (rank - totals[quarter]) / (totals[quarter + 1] - totals[quarter])
    return 60 * (15 * quarter + minutes * share)


class _Ranks:
    """Draws ranks, 0 first, as often as the counts say."""

    def __init__(self, counts: Sequence[tuple[int, int]], random: Random) -> None:
        weights = [requests for requests, how_many in counts for _ in range(how_many)]
        self._totals = list(accumulate(weights))
        self._random = random

    def draw(self) -> int:
        return bisect_right(self._totals, self._random.random() * self._totals[-1])

    def __len__(self) -> int:
        return len(self._totals)


class _Crowd:
    """The users and what they have published so far."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._pages = _Ranks(PAGES, random)
        self._clients = _Ranks(CLIENTS, random)
        self._contents = 0
        self._published: dict[int, tuple[str, str]] = {}  # rank -> key, owner
        self._users = 0

    def next_wish(self) -> Wish:
        wish = _WISHES[bisect_right(_SHARES, self._random.randrange(1000))]
        if wish == "user":
            return self._create_user()
        if wish == "view" and self._random.randrange(REQUESTS) < MISSING:
            return "content.view", f"content/{_NEVER + self._random.randrange(MISSING)}", self._client(), {}
        return self._touch(wish, self._pages.draw())

    def _touch(self, wish: str, rank: int) -> Wish:
        if rank not in self._published:
            return self._publish(rank)
        key, owner = self._published[rank]
        match wish:
            case "update":
                return "content.update", key, owner, {"title": self._title()}
            case "delete" if rank >= _POPULAR:
                # Its successor at this rank is a new content, so nobody asks for what is gone.
                del self._published[rank]
                return "content.delete", key, owner, {}
            case "like":
                return "content.like", key, self._client(), {}
            case _:
                return "content.view", key, self._client(), {}

    def _publish(self, rank: int) -> Wish:
        self._contents += 1
        key, owner = f"content/{self._contents}", self._client()
        self._published[rank] = key, owner
        return "content.publish", key, owner, {"title": self._title(), "owner": owner}

    def _create_user(self) -> Wish:
        name, email = _person(self._users)
        match self._random.randrange(10):
            case 0:
                return self._user(f"{name} {self._random.randrange(10, 100)}", email)
            case 1:
                return self._user(name, email.replace("@", ".at."))
            case 2 if self._users:
                _, taken = _person(self._random.randrange(self._users))
                return self._user(name, taken)
            case _:
                self._users += 1
                return self._user(name, email)

    def _user(self, name: str, email: str) -> Wish:
        return "user.create", f"user/{email.lower()}", self._client(), {"name": name, "email": email}

    def _client(self) -> str:
        return f"client-{self._clients.draw() + 1}"

    def _title(self) -> str:
        return f"{self._random.choice(_ADJECTIVES)} {self._random.choice(_NOUNS)}"


def _person(number: int) -> tuple[str, str]:
    """Name and e-mail address of the user `number`; addresses as people type them, capitals included."""
    first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
    return f"{first} {last}", f"{first}.{last}.{number}@Example.org"
