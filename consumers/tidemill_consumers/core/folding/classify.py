"""Classifies an arrival by the state of its entity: new, redelivery, repeat, or wrong.

Room: core. Pure.

The first row of this table that matches is the arrival's kind:

| kind | condition | effect |
|---|---|---|
| redelivery | it stands at or below its shard's mark | answered again if its answer may not have left; not applied |
| forged | its signature or seal is wrong | quarantined; the writer's counter stays as it is |
| repeat | without writer or counter: its id is among the outcomes | answered again, not applied |
| repeat | redriven, and applied or rejected before | answered again, not applied |
| repeat | its counter is below the writer's highest | answered again, not applied |
| repeat | its counter is the writer's highest, and its body that request's | answered again, not applied |
| counter reused | its counter is the writer's highest, and its body another | quarantined |
| new | all others | its rule is asked |

A redelivery comes from Lambda or Kinesis, a repeat from the producer. A producer has one record of a lane in flight, so
its counters reach a key in rising order: one at or below the highest came before. A checksum is kept only of the
request with the highest counter, so only there another body is noticed. Forged requests are sorted out before their
writer is looked at, so that nobody can use up another's counters.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from tidemill.contract.request import REDRIVE
from tidemill_consumers.core.batch import Arrival
from tidemill_consumers.core.folding.marks import MarkJournal
from tidemill_consumers.core.folding.outcomes import OutcomeJournal
from tidemill_consumers.core.folding.writers import WriterJournal, checksum

Kind: TypeAlias = Literal["new", "redelivery", "repeat", "counter reused", "forged"]


def classify(arrival: Arrival, marks: MarkJournal, writers: WriterJournal, outcomes: OutcomeJournal) -> Kind:
    """The arrival's kind, by the table above."""
    if arrival.position <= marks.last:
        return "redelivery"
    if arrival.proof is not None and arrival.proof.problem is not None:
        return "forged"
    request = arrival.request
    writer, counter = request.writer, request.counter
    if writer is None or counter is None:
        return "repeat" if outcomes.is_known(request.id) else "new"
    if writer.startswith(REDRIVE) and outcomes.is_settled(request.id):
        return "repeat"
    highest = writers.highest(writer)
    if counter > highest:
        return "new"
    if counter < highest or checksum(arrival) == writers.checksum_of_highest(writer):
        return "repeat"
    return "counter reused"
