"""How far a record was done is noted where no request's key is, for that record alone, and is only a help."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tidemill.contract.request import MAX_KEY_CHARACTERS, Document
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.core.batch import Entity, Position, Write
from tidemill_consumers.isolation.progress import Progress, note_key
from tidemill_local.emulator import Emulator

SEQUENCE = 49590338271490256608559692538361571095921575989136588898


@pytest.fixture
def progress(emulator: Emulator, table: str) -> Progress:
    return Progress(Entities(emulator.client("dynamodb"), table))


def test_a_record_goes_on_where_it_was_noted(progress: Progress) -> None:
    assert progress.of("s", SEQUENCE) is None
    progress.note("s", Position(SEQUENCE, 7))
    assert progress.of("s", SEQUENCE) == Position(SEQUENCE, 7)
    progress.note("s", Position(SEQUENCE, 9000))
    assert progress.of("s", SEQUENCE) == Position(SEQUENCE, 9000)


def test_a_note_is_one_records_of_one_shard(progress: Progress) -> None:
    progress.note("s", Position(SEQUENCE, 7))
    assert progress.of("s", SEQUENCE + 1) is None
    assert progress.of("other", SEQUENCE) is None


@pytest.mark.parametrize(
    "document",
    [{}, {"sequence": str(SEQUENCE)}, {"sequence": str(SEQUENCE), "sub": "7"}, {"sequence": str(SEQUENCE), "sub": -1}],
)
def test_a_note_that_somebody_else_wrote_is_none(emulator: Emulator, table: str, document: Document) -> None:
    entities = Entities(emulator.client("dynamodb"), table)
    entities.save([Write("k", 0, Entity(note_key("s"), 1, document), Position(1, 0), (), (), None)])
    assert Progress(entities).of("s", SEQUENCE) is None


def test_no_request_has_its_key() -> None:
    assert len(note_key("x/shardId-000000000000")) == MAX_KEY_CHARACTERS + 1
    assert note_key("a") != note_key("b")


def test_a_table_that_fails_costs_the_help_alone(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Progress(Entities(emulator.client("dynamodb"), "nowhere"))
    with pytest.raises(ClientError):
        Entities(emulator.client("dynamodb"), "nowhere").load(["k"])
    assert nowhere.of("s", SEQUENCE) is None
    nowhere.note("s", Position(SEQUENCE, 7))
    assert "cannot read how far s was done" in caplog.text
    assert "cannot note how far s was done" in caplog.text
