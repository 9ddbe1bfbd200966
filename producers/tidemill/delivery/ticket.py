"""A ticket: gives the sender of a request its outcome.

Room: SDK. No I/O. Handles (`handle.py`) are tickets that can wait.
Tests: tests/producers/tidemill/test_producer.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.errors import StillPending, failure
from tidemill.sending.records import Refused

if TYPE_CHECKING:
    from tidemill.sending.records import Acknowledged, Outcome, Record


class Ticket(msgspec.Struct, eq=False, gc=False):
    """The sender's reference to a request that was taken.

    Tickets are not tracked by the garbage collector: thousands of waiting ones would trigger it again and again. So no
    lasting reference cycle may contain one: a keeper that has ended drops its observer.

    Attributes:
        id: the request's id.
    """

    id: str
    _record: Record | None
    """The record with the request; None until the keeper has taken it."""
    _place: int

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def done(self) -> bool:
        """Whether it has been acknowledged or given up."""
        return self._outcome is not None

    @property
    def _outcome(self) -> Outcome | None:
        return None if self._record is None else self._record.outcome_of(self._place)

    @property
    def _is_lost(self) -> bool:
        """Whether the request has certainly not reached the stream and never will."""
        outcome = self._outcome
        return isinstance(outcome, Refused) and not outcome.lost

    def _acknowledged(self) -> Acknowledged:
        """The shard and sequence number of the request's record.

        Raises:
            StillPending: the request has no outcome yet.
            NotAccepted, OutcomeUnknown: the request was given up.
        """
        outcome = self._outcome
        if outcome is None:
            raise StillPending(1)
        if isinstance(outcome, Refused):
            if self._record is None:
                raise failure(outcome)
            self._record.reported = True
            raise failure(outcome, self._record.tried)
        return outcome
