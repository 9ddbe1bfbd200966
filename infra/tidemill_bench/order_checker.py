"""Whether every request of a load test was applied once and in order, by what `order_rules` noted in the documents.

Room: bench, pure.
"""

from __future__ import annotations

from tidemill_bench.order_rules import order_note
from tidemill_consumers.core.batch import State
from tidemill_load.results.faults import Faults, KeyHistory


def faults(sent: KeyHistory, document: State) -> Faults:
    """The faults of one key: its history against the note in its document."""
    seen = order_note(document)
    accepted = len(sent.accepted)
    # One that nobody answered may have been applied, or not.
    duplicates = max(0, seen.seen - accepted - sent.unanswered)
    lost = max(0, accepted - seen.seen)
    if not sent.unanswered and seen.seen == accepted and seen.sum != sum(sent.accepted):
        lost, duplicates = 1, 1  # one is missing and another counts twice; at least
    return Faults(lost + sent.unanswered, duplicates, max(0, seen.behind - duplicates - sent.excused))
