"""Reconciling: was every request that was sent applied once, in order, answered and archived?

Room: command line. Pure: what was sent and what was found come in, findings go out.
Tests: tests/e2e/test_demo.py.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidemill.contract.request import Reply, Request, encode
from tidemill_consumers.core.batch import Arrival, Position, Rejected, Rules, State
from tidemill_consumers.core.emits import follow_ups


@dataclass(frozen=True, slots=True)
class Expected:
    """The outcomes of all requests, each applied once by the rules, in the order sent."""

    documents: Mapping[str, State]
    statuses: Mapping[str, str]
    """By request id, follow-up requests included."""
    emitted: frozenset[str]
    """The ids of the follow-up requests. They answer nobody here, as is usual."""


def expect(requests: Iterable[Request], rules: Rules) -> Expected:
    """Apply the requests here, one after the other, and then what they emit.

    When a follow-up request is applied among its key's other requests is left open: the rules must not mind.
    """
    documents: dict[str, State] = {}
    statuses: dict[str, str] = {}
    counts: Counter[str] = Counter()
    emitted: set[str] = set()
    waiting = deque(requests)
    while waiting:
        request = waiting.popleft()
        key = request.key or ""
        outcome = rules[request.cmd](documents.get(key), request)
        if isinstance(outcome, Rejected):
            statuses[request.id] = "rejected"
            continue
        arrival = Arrival("", Position(0, 0), 0.0, key, request, encode(request))  # wherever it stands
        emits = follow_ups(arrival, outcome.emits, counts[key])
        if isinstance(emits, str):
            statuses[request.id] = "quarantined"
            continue
        statuses[request.id] = "accepted"
        documents[key] = outcome.state
        counts[key] += len(emits)
        emitted.update(one.id for one in emits)
        waiting += emits
    return Expected(documents, statuses, frozenset(emitted))


def differences(
    expected: Expected,
    replies: Mapping[str, Reply],
    documents: Mapping[str, State],
    archived: Counter[str],
) -> list[str]:
    """The differences between expected and found, a line each; none when all is reconciled."""
    found = {
        "requests without their reply": [
            i for i in expected.statuses if i not in replies and i not in expected.emitted
        ],
        "replies that differ from what the rules say": [
            i for i, status in expected.statuses.items() if i in replies and replies[i].status != status
        ],
        "entities that differ from what the rules say": [
            key for key, document in expected.documents.items() if documents.get(key) != document
        ],
        "requests missing from the archive": [i for i in expected.statuses if not archived[i]],
        "requests archived more than once": [i for i, copies in archived.items() if copies > 1],
    }
    return [f"{len(ids)} {what}, such as {ids[0]}" for what, ids in found.items() if ids]
