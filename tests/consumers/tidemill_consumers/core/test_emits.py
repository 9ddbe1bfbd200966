"""What a request emits: by whom, counted how, of how many bytes."""

from __future__ import annotations

from uuid import UUID

import pytest
from msgspec.structs import replace

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Arrival, Emit, Emitted, Position, Proof, with_request
from tidemill_consumers.core.emits import (
    EMITTER,
    IDS,
    LONGEST_PLAIN_KEY,
    MAX_EMIT_BYTES,
    PROVEN_EMITTER,
    emitter,
    follow_ups,
    is_emitted,
    is_of_proven,
    kept_bytes,
    without_proof,
)

CAUSE = Request(id="i", cmd="c", key="k", client="ada", writer="w", counter=7, at=2**62, data={})
ARRIVAL = Arrival("requests/shardId-000000000001", Position(5, 2), 1000.0, "k", CAUSE, encode(CAUSE))


def requests(*emits: Emit, emitted: int = 0, arrival: Arrival = ARRIVAL) -> tuple[Request, ...]:
    found = follow_ups(arrival, emits, emitted)
    assert isinstance(found, tuple), found
    return found


def test_follow_ups_are_counted_on_from_what_was_emitted_before() -> None:
    first, second = requests(Emit("a", "x", {"n": 1}), Emit("b", "y", client="eve"), emitted=41)
    assert (first.cmd, first.key, first.data, first.client, first.counter) == ("a", "x", {"n": 1}, None, 42)
    assert (second.cmd, second.key, second.data, second.client, second.counter) == ("b", "y", {}, "eve", 43)
    assert {one.writer for one in (first, second)} == {"emit/requests/k"}
    assert {one.at for one in (first, second)} == {2**62}


def test_an_id_is_of_the_cause_and_the_place() -> None:
    emits = (Emit("a", "x"), Emit("a", "x"))
    ids = [one.id for one in requests(*emits)]
    assert ids == [one.id for one in requests(*emits, emitted=9)], "the same when the cause is planned again"
    others = requests(*emits, arrival=with_request(ARRIVAL, replace(CAUSE, id="j")))
    assert len({*ids, *(one.id for one in others)}) == 4
    assert {UUID(one).version for one in ids} == {5}


def sized(size: int) -> Emit:
    """One whose request has so many bytes."""
    (empty,) = requests(Emit("a", "x", {"t": ""}))
    return Emit("a", "x", {"t": "t" * (size - len(encode(empty)))})


def test_all_of_a_requests_have_16_kib_and_not_a_byte_more() -> None:
    assert len(encode(requests(sized(MAX_EMIT_BYTES))[0])) == MAX_EMIT_BYTES
    assert len(requests(sized(MAX_EMIT_BYTES - 1000), sized(1000))) == 2
    why = f"follow-up requests of more than {MAX_EMIT_BYTES} bytes"
    assert follow_ups(ARRIVAL, [sized(MAX_EMIT_BYTES + 1)], 0) == why
    assert follow_ups(ARRIVAL, [sized(MAX_EMIT_BYTES - 1000), sized(1001)], 0) == why


def test_what_cannot_be_sent_is_named_by_its_place() -> None:
    problem = follow_ups(ARRIVAL, [Emit("a", "x"), Emit("", "x")], 0)
    assert isinstance(problem, str)
    assert problem.startswith("follow-up request 2: ")


def test_nothing_is_emitted_by_nothing() -> None:
    assert requests() == ()


def test_proven_is_the_causes_client_alone() -> None:
    proven = replace(ARRIVAL, proof=Proof(client="ada"))
    mine, others, nobodys = requests(
        Emit("a", "x", client="ada"), Emit("a", "x", client="eve"), Emit("a", "x"), arrival=proven
    )
    assert [one.writer for one in (mine, others, nobodys)] == ["emit-proven/requests/k", *["emit/requests/k"] * 2]
    assert [is_of_proven(one) for one in (mine, others, nobodys)] == [True, False, False]
    assert all(map(is_emitted, (mine, others, nobodys)))


def test_other_requests_are_emitted_by_nobody() -> None:
    for writer in (None, "w", "emi", "x" + EMITTER):
        one = replace(CAUSE, writer=writer)
        assert (is_emitted(one), is_of_proven(one)) == (False, False)
    assert not is_of_proven(replace(CAUSE, writer=PROVEN_EMITTER, client=None))


@pytest.mark.parametrize(
    ("writer", "bare"),
    [
        ("emit-proven/requests/k", "emit/requests/k"),
        ("emit/requests/k", "emit/requests/k"),
        ("w/emit-proven/k", "w/emit-proven/k"),
        ("", ""),
    ],
)
def test_one_writer_with_and_without_proof(writer: str, bare: str) -> None:
    assert without_proof(writer) == bare


def test_long_keys_are_hashed_and_none_is_anothers() -> None:
    names = [
        emitter(key, "s/shard") for key in ("k" * 63, "k" * 64, "k" * 65, "\N{WATER WAVE}" * 15, "\N{WATER WAVE}" * 16)
    ]
    assert [len(name.removeprefix("emit/s/").encode()) for name in names] == [63, 64, 64, 60, 64]
    assert len(set(names)) == 5


def test_kept_bytes_are_those_of_its_parts_and_no_less() -> None:
    sent = requests(Emit("a", "x"), Emit("b", "y", {"t": "é"}))
    emitted = Emitted(
        "stream/shardId-000000000001", Position(49590338271490256608559692538361571095921575989136588898, 99_999), sent
    )
    place = len("stream/shardId-000000000001") + 72
    assert kept_bytes(emitted) == place + sum(4 + len(encode(one)) for one in sent)
    assert kept_bytes(Emitted("s", Position(0, 0), ())) == 73


def test_writers_and_ids_are_the_same_for_ever() -> None:
    """What was emitted before an update comes again after it, and is known by them."""
    assert (EMITTER, PROVEN_EMITTER, LONGEST_PLAIN_KEY, MAX_EMIT_BYTES) == ("emit/", "emit-proven/", 63, 16_384)
    assert str(IDS) == "e23ff1a1-6a5f-4a0c-8f0c-6a1d7f3b5a52"
