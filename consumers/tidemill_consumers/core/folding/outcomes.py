"""The outcomes that an entity keeps, so that redeliveries and repeats get the same answer as the first time.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_plan.py and test_several.py.

The plain "accepted" of a request with a counter is not kept. A repeat is recognised by its counter, and a redelivery by
the mark, whose `known` tells whether a missing outcome was the plain "accepted".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from tidemill.contract.request import Reply
from tidemill_consumers.core.batch import Mark
from tidemill_consumers.core.folding.budget import Budget
from tidemill_consumers.core.outcomes import bytes_of_all, kept, outcome_bytes, reply_of, together
from tidemill_consumers.core.several import displaced, streams_of_all
from tidemill_consumers.core.streams import stream_of_shard

MAX_RECENT = 32
"""Outcomes of earlier batches kept per entity; the current batch's are all kept."""


class OutcomeJournal(msgspec.Struct, gc=False):
    """The outcomes of one entity while a batch is folded over it.

    Attributes:
        budget: limits what the fold leaves on the entity.
        before: outcomes of earlier batches, by request id, oldest first.
        stream: the delivery's stream, which outcomes name if other streams feed the entity too; else None.
        now: outcomes of this delivery that are kept.
        accepted: requests of this delivery whose outcome is the plain "accepted", which is not kept.
    """

    budget: Budget
    before: Mapping[str, str]
    stream: str | None
    now: dict[str, str] = msgspec.field(default_factory=dict)
    accepted: set[str] = msgspec.field(default_factory=set)

    def is_known(self, request_id: str) -> bool:
        """Whether the request's outcome is kept."""
        return request_id in self.now or request_id in self.before

    def is_settled(self, request_id: str) -> bool:
        """Whether the request is known to have been applied or rejected."""
        outcome = self._kept(request_id)
        return request_id in self.accepted or (outcome is not None and outcome.status != "quarantined")

    def note(self, outcome: Reply, is_counted: bool) -> None:
        """Record a new arrival's outcome.

        Args:
            outcome: its reply.
            is_counted: whether its repeats are recognised by writer and counter.
        """
        request_id = outcome.id
        is_usual = is_counted and outcome.status == "accepted" and outcome.data is None
        # A redriven request may have an earlier outcome, which must be replaced. (`is_known`, without its call)
        if not is_usual or request_id in self.now or request_id in self.before:
            self._keep(request_id, outcome)
        else:
            self.accepted.add(request_id)

    def note_accepted(self, request_id: str) -> None:
        """Record a redelivery's outcome as the plain "accepted", unless another is kept."""
        if not self.is_known(request_id):
            self.accepted.add(request_id)

    def again(self, request_id: str) -> Reply | None:
        """The outcome to answer a redelivery or a repeat with; None if it is not known any more.

        If it is not known, it was answered before. The outcome is kept with this delivery's, so that it lasts as long.
        """
        if request_id in self.accepted:
            return Reply(request_id, "accepted")
        outcome = self._kept(request_id)
        self._keep(request_id, outcome)
        return outcome

    def after(self, shard: str, marks: Mapping[str, Mark], max_bytes: int) -> dict[str, str]:
        """The outcomes that the entity keeps, oldest first.

        Args:
            shard: the delivery's shard.
            marks: the entity's marks after the fold.
            max_bytes: the room for outcomes; the oldest are dropped.
        """
        earlier = {one: text for one, text in self.before.items() if one not in self.now}
        if self.stream is None:
            left = list(earlier.items())[-MAX_RECENT:]
        else:
            left = displaced(earlier, shard, marks, MAX_RECENT)
        return _latest(left, self.now, max_bytes)

    def with_known(self, marks: dict[str, Mark], recent: Mapping[str, str], shard: str) -> dict[str, Mark]:
        """The marks, with `Mark.known` false where a dropped outcome may have been of their shard.

        Args:
            marks: the entity's marks after the fold.
            recent: the outcomes that it keeps.
            shard: the delivery's shard.
        """
        dropped = self.before.keys() - recent.keys()
        all_of_these = self.now.keys() <= recent.keys()
        if not dropped and all_of_these:
            return marks
        hurt = None if self.stream is None else streams_of_all(self.before, dropped)

        def is_known(of: str, mark: Mark) -> bool:
            if of == shard:
                return all_of_these
            return mark.known and hurt is not None and stream_of_shard(of) not in hurt

        return {of: replace(mark, known=is_known(of, mark)) for of, mark in marks.items()}

    def _kept(self, request_id: str) -> Reply | None:
        text = self.now.get(request_id) or self.before.get(request_id)
        return None if text is None else reply_of(text)

    def _keep(self, request_id: str, outcome: Reply | None) -> None:
        stream = self.stream
        if stream is not None:
            stream = together(self.before.get(request_id), stream)
        text = kept(request_id, outcome, stream)
        replaced = self.now.get(request_id)
        self.now[request_id] = text
        if replaced is None:
            self.budget.take(outcome_bytes(text), outcomes=1)
        else:
            self.budget.take(outcome_bytes(text) - outcome_bytes(replaced))


def _latest(left: Sequence[tuple[str, str]], now: Mapping[str, str], max_bytes: int) -> dict[str, str]:
    """The remaining earlier outcomes and this delivery's, without the oldest that have no room."""
    latest = [*left, *now.items()]
    room = max_bytes - bytes_of_all([text for _, text in latest])
    oldest = 0
    while room < 0:
        room += outcome_bytes(latest[oldest][1])
        oldest += 1
    return dict(latest[oldest:])
