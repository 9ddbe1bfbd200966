"""The table of arrivals, line by line: what names each, and which line comes first."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tidemill.contract.request import REDRIVE, Reply, Request, encode
from tidemill_consumers.core.batch import Arrival, Found, Mark, Position, Proof
from tidemill_consumers.core.folding.budget import Budget
from tidemill_consumers.core.folding.classify import Kind, classify
from tidemill_consumers.core.folding.marks import MarkJournal
from tidemill_consumers.core.folding.outcomes import OutcomeJournal
from tidemill_consumers.core.folding.writers import NOT_APPLIED, WriterJournal, checksum, entry
from tidemill_consumers.core.outcomes import kept

SHARD = "s/0"
FORGED = Proof("its signature is wrong")
SIGNED = Proof(client="phone-1")


def arrival(
    sequence: int, writer: str | None = "w", counter: int | None = 5, request_id: str = "r", cmd: str = "view"
) -> Arrival:
    request = Request(id=request_id, cmd=cmd, key="k", writer=writer, counter=counter, data={})
    return Arrival(SHARD, Position(sequence, 0), 1000.0, "k", request, encode(request))


FIFTH = arrival(100)
"""The last that was applied: of writer `w`, under counter 5."""

FORGOTTEN = 900.0
"""Up to this arrival the entity has forgotten writers."""


def again(writer: str, counter: int, tried: float = FORGOTTEN, found: Found = "") -> Arrival:
    """A re-send."""
    return replace(arrival(101, writer, counter), tried=tried, found=found)


RECENT = {one.id: kept(one.id, one) for one in (Reply("refused", "rejected"), Reply("put by", "quarantined"))}


def kind(one: Arrival) -> Kind:
    marks = MarkJournal.of({SHARD: Mark(Position(100, 0), 1000.0, Position(90, 0)), "s/1": ELSEWHERE}, SHARD)
    remembered = entry("w", 5, checksum(FIFTH)) + entry("untold", 5 | NOT_APPLIED, checksum(again("untold", 5)))
    writers = WriterJournal(remembered, entry(f"{REDRIVE}1", 5, 1), forgotten=FORGOTTEN)
    return classify(one, marks, writers, OutcomeJournal(Budget(1000), RECENT, None))


ELSEWHERE = Mark(Position(900, 0), 1000.0, Position(900, 0))
LINES: list[tuple[str, Arrival, Kind]] = [
    ("at the mark", arrival(100), "redelivery"),
    ("below the mark", arrival(99, counter=6), "redelivery"),
    ("below the mark and forged", replace(arrival(99), proof=FORGED), "redelivery"),
    ("forged", replace(arrival(101, counter=6), proof=FORGED), "forged"),
    ("forged under a counter that was used", replace(arrival(101), proof=FORGED), "forged"),
    ("the next counter", arrival(101, counter=6), "new"),
    ("the next counter, signed", replace(arrival(101, counter=6), proof=SIGNED), "new"),
    ("a writer that is not known", arrival(101, "v", 0), "new"),
    ("a lower counter", arrival(101, counter=4), "repeat"),
    ("the same counter and body", arrival(101), "repeat"),
    ("the same counter, another body", arrival(101, cmd="like"), "counter reused"),
    ("without a writer", arrival(101, None), "new"),
    ("without a counter", arrival(101, counter=None), "new"),
    ("without a writer, of a known id", arrival(101, None, request_id="refused"), "repeat"),
    ("without a writer, of one in quarantine", arrival(101, None, request_id="put by"), "repeat"),
    ("with a new counter, of a known id", arrival(101, counter=6, request_id="refused"), "new"),
    ("redriven, rejected since", arrival(101, f"{REDRIVE}2", 0, request_id="refused"), "repeat"),
    ("redriven, in quarantine still", arrival(101, f"{REDRIVE}2", 0, request_id="put by"), "new"),
    ("of a counter that is not remembered", arrival(101, "w", 2**46), "new"),
    ("of a counter that is not remembered, of a known id", arrival(101, "w", 2**46, "refused"), "repeat"),
    ("a re-send of the same counter", again("w", 5), "repeat"),
    ("a re-send of a lower counter", again("w", 4, 0.0, "absent"), "repeat"),
    ("a re-send, its writer remembered", again("w", 6, 0.0), "new"),
    ("a re-send, its writer remembered, in the table with more", again("w", 6, 0.0, "applied"), "repeat"),
    ("a re-send of what came after all that was forgotten", again("v", 1, FORGOTTEN + 0.001), "new"),
    ("a re-send of what may have been forgotten, nobody asked", again("v", 1), "cannot be told"),
    ("a re-send of what may have been forgotten, nobody knows", again("v", 1, 0.0, "unknown"), "cannot be told"),
    ("a re-send, not in the table", again("v", 1, 0.0, "absent"), "new"),
    ("a re-send, in the table", again("v", 1, 0.0, "applied"), "repeat"),
    ("a re-send behind one that could not be told", again("untold", 6, 0.0, "unknown"), "cannot be told"),
    ("a re-send of one that could not be told", again("untold", 5, 0.0, "unknown"), "repeat"),
    ("a first attempt behind one that could not be told", arrival(101, "untold", 6), "new"),
    ("redriven, and sent again", again(f"{REDRIVE}2", 1), "new"),
    ("redriven twice, in quarantine still", arrival(101, f"{REDRIVE}1", 4, request_id="put by"), "repeat"),
]


def test_an_entity_that_has_forgotten_nothing_judges_every_re_send() -> None:
    """Even one of whose first attempt nothing is known."""
    writers = WriterJournal(entry("w", 5, 1))
    marks = MarkJournal.of({}, SHARD)
    assert classify(again("v", 1, 0.0), marks, writers, OutcomeJournal(Budget(1000), {}, None)) == "new"


@pytest.mark.parametrize(("one", "expected"), [line[1:] for line in LINES], ids=[line[0] for line in LINES])
def test_an_arrival_is(one: Arrival, expected: Kind) -> None:
    assert kind(one) == expected


def test_every_place_of_an_aggregate_is_an_arrival_of_its_own() -> None:
    later = replace(arrival(100, counter=6), position=Position(100, 1))
    assert kind(later) == "new"
