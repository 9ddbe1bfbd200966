"""Follows each request of a load test from the moment it was due to its answer.

Room: load. Knows neither how requests are sent nor how answers come; time is an argument. Safe for threads.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from tidemill.contract.request import MAX_KEY_CHARACTERS, Document, Status
from tidemill_load.results.faults import AFTER, SERIAL, KeyHistory
from tidemill_load.results.latency import percentile
from tidemill_load.workloads.scheduled_request import ScheduledRequest

RECENT: Final = 1_000
"""The latest answers that the live p95 is computed from."""


@dataclass(frozen=True, slots=True)
class Item:
    """A request to be sent.

    Attributes:
        due: when, in seconds on the load test's clock.
        cmd: the command.
        key: the ordering key, of this part of the test alone.
        client: who sends it.
        data: the command's data, its number among the key's requests included.
    """

    due: float
    cmd: str
    key: str
    client: str
    data: Document


@dataclass(slots=True)
class _Entry:
    key: str
    serial: int
    after: int
    due: float
    status: Status | None = None
    failed: bool = False


@dataclass(slots=True)
class RequestTracker:
    """Follows the requests of one part of a load test.

    One idea: what is noted of each request, and the counts over all of them, of a line or two each.

    Args:
        tag: what its keys begin with, so that its entities are its own.
        several: whether several writers send, so that each request names its client's previous one of the key.
    """

    tag: str
    several: bool = False
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _serials: Counter[str] = field(default_factory=Counter)
    _latencies: list[float] = field(default_factory=list)
    _writers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _latest: dict[tuple[str, str], int] = field(default_factory=dict)
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    _lock: Lock = field(default_factory=Lock)
    bytes: int = 0
    """Total size of the requests sent."""
    errors: int = 0
    """Requests given up, or answered by an error."""
    problems: Counter[str] = field(default_factory=Counter)
    """Why, and how many for that."""
    first_due: float = 0.0
    last_due: float = 0.0
    last_sent: float = 0.0
    """When the last one left."""
    last_answer: float = 0.0

    def item(self, scheduled: ScheduledRequest, due: float) -> Item:
        """The scheduled request as it is sent here."""
        key = own_key(self.tag, scheduled.key)
        with self._lock:
            self._serials[key] += 1
            serial = self._serials[key]
            data = {**scheduled.data, SERIAL: serial}
            if self.several:
                data[AFTER] = self._latest.get((key, scheduled.client), 0)
                self._latest[key, scheduled.client] = serial
            return Item(due, scheduled.cmd, key, scheduled.client, data)

    def sending(self, request_id: str, item: Item, size: int, writer: str) -> None:
        """Note a request of a writer before it is sent: its answer may come from now on."""
        with self._lock:
            self._writers[item.key].add(writer)
            self._entries[request_id] = _Entry(item.key, item.data[SERIAL], item.data.get(AFTER, 0), item.due)
            self.bytes += size
            self.first_due = min(self.first_due or item.due, item.due)
            self.last_due = max(self.last_due, item.due)

    def sent(self, now: float) -> None:
        """Note that a request has left."""
        self.last_sent = max(self.last_sent, now)

    def answered(self, request_id: str, status: Status, now: float) -> None:
        """An answer came; one to a request that is not of here, or was answered before, is passed over."""
        with self._lock:
            entry = self._entries.get(request_id)
            if entry is None or entry.status is not None or entry.failed:
                return
            entry.status = status
            self._latencies.append(now - entry.due)
            self._recent.append(now - entry.due)
            self.last_answer = max(self.last_answer, now)

    def failed(self, request_id: str, why: str) -> None:
        """Note that a request was given up, or answered by an error; no other answer will come."""
        with self._lock:
            self.errors += 1
            self.problems[why] += 1
            self._entries[request_id].failed = True

    @property
    def requests(self) -> int:
        """Requests sent, or given up."""
        return len(self._entries)

    @property
    def settled(self) -> int:
        """Requests that are answered or given up."""
        return len(self._latencies) + self.errors

    @property
    def live_p95(self) -> float:
        """The p95 of the latest answers, in seconds; 0 before the first."""
        with self._lock:
            return percentile(sorted(self._recent), 0.95)

    @property
    def latencies(self) -> Sequence[float]:
        """Seconds from due to answered, in the order of the answers."""
        return self._latencies

    @property
    def entities(self) -> int:
        """Distinct entities that requests were sent for."""
        return len(self._serials)

    @property
    def writers(self) -> int:
        """Writers of each entity, added up."""
        return sum(map(len, self._writers.values()))

    @property
    def statuses(self) -> Mapping[Status, int]:
        """Answers by their status."""
        return Counter(one.status for one in self._entries.values() if one.status is not None)

    def by_key(self) -> dict[str, KeyHistory]:
        """The history of each key."""
        accepted: dict[str, list[int]] = defaultdict(list)
        unanswered: Counter[str] = Counter()
        for entry in self._entries.values():
            if entry.status is None:
                unanswered[entry.key] += 1
            elif entry.status == "accepted":
                accepted[entry.key].append(entry.serial)
        excused: Counter[str] = Counter()
        if self.several:
            every = {key: {0, *serials} for key, serials in accepted.items()}
            excused.update(
                entry.key
                for entry in self._entries.values()
                if entry.status == "accepted" and entry.after not in every[entry.key]
            )
        return {key: KeyHistory(tuple(accepted[key]), unanswered[key], excused[key]) for key in self._serials}


def own_key(tag: str, key: str) -> str:
    """The key behind the tag; of one that would be too long, a hash."""
    own = f"{tag}/{key}"
    return own if len(own) <= MAX_KEY_CHARACTERS else f"{tag}/{hashlib.sha256(key.encode()).hexdigest()}"
