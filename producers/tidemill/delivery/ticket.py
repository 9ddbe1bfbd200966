"""A ticket: what becomes of one request, for whoever sent it.

Room: SDK. No I/O. `handle.py` and `aio.py` make it a handle, which waits.
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
    """What its sender holds of a request that was taken.

    The garbage collector does not see it, for thousands that wait to be taken would call it again and again. So no
    circle that leads through one may last: a keeper that has ended lets go of its observer.

    Attributes:
        id: the request's id.
    """

    id: str
    _record: Record | None
    """None until it has been put into one."""
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
        """Whether it is certain that it never reaches the stream."""
        outcome = self._outcome
        return isinstance(outcome, Refused) and not outcome.lost

    def _acknowledged(self) -> Acknowledged:
        """Where it is stored.

        Raises:
            StillPending: nothing has become of it yet.
            NotAccepted, OutcomeUnknown: it was given up.
        """
        outcome = self._outcome
        if outcome is None:
            raise StillPending(1)
        if isinstance(outcome, Refused):
            if self._record is not None:
                self._record.reported = True
            raise failure(outcome)
        return outcome
