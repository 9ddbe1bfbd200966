"""Classifies an arrival by the state of its entity: new, redelivery, repeat, or wrong.

Room: core. Pure.

The first row of this table that matches is the arrival's kind:

| kind | condition | effect |
|---|---|---|
| redelivery | it stands at or below its shard's mark | answered again if its answer may not have left; not applied |
| forged | its signature or seal is wrong | quarantined; the writer's counter stays as it is |
| repeat | without writer, or counter below 2^46: its id is among the outcomes | answered again, not applied |
| repeat | redriven, and applied or rejected before | answered again, not applied |
| cannot be told | without writer, but the stage may have counted it | quarantined |
| repeat | its counter is below the writer's highest | answered again, not applied |
| repeat | its counter is the writer's highest, and its body that request's | answered again, not applied |
| counter reused | its counter is the writer's highest, and its body another | quarantined |
| new | its writer was redriven | its rule is asked |
| cannot be told | the stage may have counted it, longer ago than it remembers | quarantined, and remembered |
| new | it is no re-send, and no forgotten writer's first attempt may yet come | its rule is asked |
| repeat | the table of forgotten writers has its counter or a higher one | answered again, not applied |
| new | its first attempt came after all that the entity has forgotten | its rule is asked |
| new | the table of forgotten writers was asked and has neither | its rule is asked |
| new | the entity remembers its writer, with a lower counter that was applied | its rule is asked |
| cannot be told | all others | quarantined, and remembered: its copies are repeats |

A redelivery comes from Lambda or Kinesis, a repeat from the producer. A producer has one record of a lane in flight, so
its counters reach a key in rising order: one at or below the highest came before. A checksum is kept only of the
request with the highest counter, so only there another body is noticed. Forged requests are sorted out before their
writer is looked at, so that nobody can use up another's counters.

Only a re-send (`Arrival.tried`) can have come before without its writer being remembered: what is no re-send is a first
attempt. A first attempt may come after its re-send, from a call that nobody waited for any more: within `LATE_SECONDS`
after re-sends were applied whose writers are forgotten since, first attempts are doubtful too. What its entity cannot
judge `is_doubtful`; for these the table is asked before the plan.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from tidemill.contract.request import REDRIVE
from tidemill_consumers.core.batch import Arrival
from tidemill_consumers.core.folding.marks import MarkJournal
from tidemill_consumers.core.folding.outcomes import OutcomeJournal
from tidemill_consumers.core.folding.writers import COUNTERS, LATE_SECONDS, WriterJournal, checksum

Kind: TypeAlias = Literal["new", "redelivery", "repeat", "counter reused", "forged", "cannot be told"]


def classify(arrival: Arrival, marks: MarkJournal, writers: WriterJournal, outcomes: OutcomeJournal) -> Kind:
    """The arrival's kind, by the table above."""
    if arrival.position <= marks.last:
        return "redelivery"
    if arrival.proof is not None and arrival.proof.problem is not None:
        return "forged"
    request = arrival.request
    writer, counter = request.writer, request.counter
    if writer is None or counter is None or counter >= COUNTERS:
        if outcomes.is_known(request.id):
            return "repeat"
        return "cannot be told" if arrival.found == "beyond" else "new"
    is_redriven = writer.startswith(REDRIVE)
    if is_redriven and outcomes.is_settled(request.id):
        return "repeat"
    highest = writers.highest(writer)
    if counter > highest:
        if is_redriven or (arrival.tried is None and not writers.awaited):
            return "new"
        return _of_resent(arrival, writer, writers)
    if counter < highest or checksum(arrival) == writers.checksum_of_highest(writer):
        return "repeat"
    return "counter reused"


def _of_resent(arrival: Arrival, writer: str, writers: WriterJournal) -> Kind:
    """The kind of a possible repeat whose counter is higher than any that the entity remembers of its writer."""
    if arrival.found == "applied":
        return "repeat"
    if arrival.found == "absent" or (arrival.found != "beyond" and not is_doubtful(arrival, writer, writers)):
        return "new"
    return "cannot be told"


def is_doubtful(arrival: Arrival, writer: str, writers: WriterJournal) -> bool:
    """Whether an entity has forgotten too much to judge a request of a counter that it does not remember."""
    if arrival.tried is None:
        has_forgotten = 0.0 < writers.awaited >= arrival.arrived - LATE_SECONDS
    else:
        has_forgotten = 0.0 < writers.forgotten >= arrival.tried
    return has_forgotten and not writers.is_judge_of(writer)
