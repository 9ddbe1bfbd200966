"""The writers of an entity: the highest counter applied of each.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_plan.py and test_fitting.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import msgspec

from tidemill.contract.request import REDRIVE
from tidemill_consumers.core.batch import Arrival, WriterMark
from tidemill_consumers.core.emits import EMITTERS
from tidemill_consumers.core.fitting import BYTES_OF_WRITER, MAX_WRITER_BYTES, latest_that_fit
from tidemill_consumers.core.trust import is_of_verified

MAX_WRITERS = 64
"""Writers remembered per entity; the least recently seen is evicted first."""

MAX_REDRIVEN = 64
"""Writers of redriven requests, one per request, that are remembered per entity in addition."""

MAX_EMITTERS = 64
"""Writers of follow-up requests, one per emitting entity, that are remembered per entity in addition."""

FEW_WRITERS = min(MAX_WRITERS, MAX_REDRIVEN, MAX_EMITTERS)
"""Up to this many writers in all, nothing is evicted, whatever their kinds."""


class WriterJournal(msgspec.Struct, gc=False):
    """The writers of one entity while a batch is folded over it.

    Attributes:
        before: the entity's writers, by name.
        newest: each writer's newest arrival, with its counter from before the rule, which may change the request.
        evicted: number of writers that had no room.
    """

    before: Mapping[str, WriterMark]
    newest: dict[str, tuple[int, Arrival]] = msgspec.field(default_factory=dict)
    evicted: int = 0

    def highest(self, writer: str) -> int:
        """The writer's highest counter so far; -1 if the writer is unknown."""
        newest = self.newest.get(writer)
        if newest is not None:
            return newest[0]
        before = self.before.get(writer)
        return -1 if before is None else before.counter

    def checksum_of_highest(self, writer: str) -> int:
        """The checksum of a known writer's request with the highest counter."""
        newest = self.newest.get(writer)
        return self.before[writer].checksum if newest is None else checksum(newest[1])

    def after(self) -> dict[str, WriterMark]:
        """The writers that the entity remembers after the fold."""
        writers = dict(self.before)
        for name, (counter, arrival) in self.newest.items():
            writers[name] = WriterMark(counter, arrival.arrived, checksum(arrival))
        latest = _latest(writers)
        self.evicted = len(writers) - len(latest)
        return latest


def checksum(arrival: Arrival) -> int:
    """The checksum of the request's bytes, to tell it from another with the same counter."""
    return zlib.crc32(arrival.encoded)


def _latest(writers: dict[str, WriterMark]) -> dict[str, WriterMark]:
    if len(writers) <= FEW_WRITERS:
        return writers
    latest = sorted(writers.items(), key=lambda item: item[1].arrived)
    redriven = [item for item in latest if item[0].startswith(REDRIVE)]
    emitters = [item for item in latest if item[0].startswith(EMITTERS)]
    others = [item for item in latest if not item[0].startswith((REDRIVE, *EMITTERS))]
    # Writers of verified clients come last, so that no others push them out.
    others.sort(key=lambda item: is_of_verified(item[0]))
    kinds = others[-MAX_WRITERS:], redriven[-MAX_REDRIVEN:], emitters[-MAX_EMITTERS:]
    return dict([one for kind in kinds for one in latest_that_fit(kind, BYTES_OF_WRITER, MAX_WRITER_BYTES)])
