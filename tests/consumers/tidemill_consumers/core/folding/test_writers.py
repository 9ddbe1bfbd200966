"""The writers that an entity remembers, and those that it forgets to the table."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidemill.contract.request import REDRIVE, Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Entity, Forgotten, Mark, Position, Rules, Write
from tidemill_consumers.core.folding.budget import MAX_RESENT
from tidemill_consumers.core.folding.writers import (
    AWAITED,
    COUNTERS,
    ENTRY_BYTES,
    MAX_REDRIVEN,
    NOT_APPLIED,
    counter_of,
    digest_of,
    entry,
    forgotten,
    hash_of,
    number_at,
    place_of,
)
from tidemill_consumers.core.plan import plan

VERIFIED = "verified/" + "0" * 128
RULES: Rules = {"count": lambda state, _: Accepted({"n": (state or {"n": 0})["n"] + 1})}


def arrival(n: int, writer: str, counter: int = 1, tried: float | None = None) -> Arrival:
    request = Request(id=f"{writer}-{counter}", cmd="count", key="k", writer=writer, counter=counter, data={})
    return Arrival("s/0", Position(n, 0), 1000.0 + n, "k", request, encode(request), tried=tried)


def fold(arrivals: list[Arrival], entity: Entity | None = None) -> Write:
    (write,) = plan(arrivals, {"k": entity} if entity else {}, RULES, 86_400.0).writes
    return write


def saved(write: Write) -> Entity:
    assert write.new_entity is not None
    return write.new_entity


def held(gone: Forgotten | None, writer: str) -> int | None:
    """The counter that the table gets of a writer of the key."""
    assert gone is not None
    assert len(gone.digests) % 8 == 0
    digests = [gone.digests[at : at + 8] for at in range(0, len(gone.digests), 8)]
    if digest_of("k", writer) not in digests:
        return None
    at = digests.index(digest_of("k", writer)) * 6
    return int.from_bytes(gone.counters[at : at + 6])


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, COUNTERS - 1)), unique_by=lambda one: one[0]))
def test_a_writer_is_found_among_others(writers: list[tuple[str, int]]) -> None:
    entries = b"".join([entry(name, counter, 7) for name, counter in writers])
    assert [counter_of(entries, name) for name, _ in writers] == [counter for _, counter in writers]
    assert counter_of(entries, "another") == -1


def test_a_hash_that_stands_across_two_entries_is_no_entry() -> None:
    name = hash_of("w")
    across = b"\0" * 12 + name + b"\0" * 12
    assert (place_of(across, "w"), number_at(across, -1)) == (-1, -1)
    assert place_of(across + entry("w", 5, 1), "w") == 32


def test_no_name_on_the_wire_has_the_hash_of_a_verified_client_s_writer() -> None:
    assert hash_of(VERIFIED)[0] >= 0x80
    assert all(hash_of(f"w{n}")[0] < 0x80 for n in range(100))
    assert digest_of("k", VERIFIED)[0] >= 0x80


def test_what_the_table_gets_is_known_by_key_and_writer() -> None:
    gone = forgotten("s/0", "k", entry("w", 5, 9) + entry("v", 2**40, 9))
    assert gone == Forgotten("s/0", digest_of("k", "w") + digest_of("k", "v"), (5).to_bytes(6) + (2**40).to_bytes(6))
    assert digest_of("k", "w") != digest_of("other", "w")


def test_a_writer_that_comes_again_has_one_entry_with_its_latest_counter_behind_the_others() -> None:
    entity = saved(fold([arrival(3, "a", 9)], saved(fold([arrival(1, "a", 1), arrival(2, "b", 1)]))))
    assert [entity.writers[:8], entity.writers[16:24]] == [hash_of("b"), hash_of("a")]
    assert counter_of(entity.writers, "a") == 9


def test_a_few_are_remembered_whatever_the_item_holds() -> None:
    large = Entity("k", 1, {"n": 0, "text": "x" * 960})
    write = fold([arrival(n, f"w{n}") for n in range(4)], large)
    assert (len(saved(write).writers), write.forgotten) == (4 * ENTRY_BYTES, None)


def test_the_oldest_go_to_the_table_and_the_entity_notes_up_to_when() -> None:
    before = Entity("k", 1, None, {"s/0": Mark(Position(0, 0), 900.0, Position(0, 0))}, entry("old", 3, 1))
    write = fold([arrival(n, f"w{n}") for n in range(1, 100)], before)
    entity = saved(write)
    kept = len(entity.writers) // ENTRY_BYTES
    assert 4 < kept < 64
    assert write.forgotten is not None
    assert len(write.forgotten.digests) == 8 * (100 - kept)
    assert (held(write.forgotten, "old"), held(write.forgotten, "w1"), held(write.forgotten, "w99")) == (3, 1, None)
    assert counter_of(entity.writers, "w99") == 1
    assert entity.forgotten == 1099.0
    assert entity.lost == 0.0


def test_of_writers_from_before_the_entity_forgets_up_to_its_latest_mark() -> None:
    entity = saved(fold([arrival(n, f"w{n}") for n in range(1, 60)]))
    assert entity.forgotten == 1059.0
    later = saved(fold([arrival(90, "later")], replace(entity, forgotten=0.0)))
    assert later.forgotten == 1059.0, "and not that of its newest"


def test_writers_take_no_further_write_unit() -> None:
    from tests.item_size import item_bytes
    from tidemill_consumers.codec.items import to_item

    entity = Entity("k")
    for n in range(300):
        entity = saved(fold([arrival(n, f"w{n}")], entity))
    assert 1024 - ENTRY_BYTES - 40 < item_bytes(to_item(entity)) <= 1024


def test_of_writers_of_verified_clients_sixty_four_stay_even_for_a_write_unit() -> None:
    verified = [f"verified/{n:0130}" for n in range(150)]
    write = fold([arrival(n, name) for n, name in enumerate([*verified, *[f"w{n}" for n in range(80)]])])
    stay = [name for name in verified if counter_of(saved(write).writers, name) == 1]
    assert stay == verified[-len(stay) :]
    assert 64 <= len(stay) < 150
    assert held(write.forgotten, "w79") == 1, "they displace the others, however new"


def test_writers_of_re_sends_stay_until_the_next_write() -> None:
    """If the save fails, each is judged again, and must not find itself in the table."""
    batch = [arrival(1, "again", tried=5.0), *[arrival(n, f"w{n}") for n in range(2, 100)]]
    write = fold(batch)
    assert counter_of(saved(write).writers, "again") == 1
    assert held(write.forgotten, "again") is None
    after = fold([arrival(n, f"v{n}", 1, 5000.0) for n in range(100, 200)], saved(write))
    assert held(fold([arrival(300, "x")], saved(after)).forgotten, "again") == 1 | AWAITED


def test_a_write_takes_so_many_re_sends_and_the_rest_waits() -> None:
    write = fold([arrival(n, f"w{n}", tried=5.0) for n in range(1, MAX_RESENT + 10)])
    assert write.stopped == Position(MAX_RESENT + 1, 0)
    assert len(saved(write).writers) == MAX_RESENT * ENTRY_BYTES


def test_what_cannot_be_told_is_quarantined_once_and_its_copies_are_repeats() -> None:
    before = Entity("k", 1, {"n": 7}, forgotten=990.0)
    write = fold([arrival(1, "w", 5, 980.0), arrival(2, "w", 5, 980.0), arrival(3, "w", 6, 980.0)], before)
    assert [one.arrival.position.sequence for one in write.quarantine] == [1, 3]
    assert (write.untold, saved(write).document) == (2, {"n": 7})
    assert number_at(saved(write).writers, 0) == 6 | NOT_APPLIED | AWAITED
    again = fold([arrival(4, "w", 6, 980.0), arrival(5, "w", 7, 980.0), arrival(6, "w", 8)], saved(write))
    assert [one.arrival.position.sequence for one in again.quarantine] == [5], "nothing behind it is taken for new"
    assert saved(again).document == {"n": 8}
    assert number_at(saved(again).writers, 0) == 8 | AWAITED


def test_a_key_and_a_writer_of_the_same_names_have_digests_of_their_own() -> None:
    digests = {digest_of(key, writer) for key in ("a", "b") for writer in ("a", "b")}
    assert len(digests) == 4
    assert bytes(8) not in digests


def test_redriven_writers_are_apart_and_never_go_to_the_table() -> None:
    redriven = [arrival(n, f"{REDRIVE}{n}") for n in range(1, MAX_REDRIVEN + 20)]
    write = fold([arrival(0, "w"), *redriven])
    entity = saved(write)
    assert (len(entity.writers), len(entity.redriven)) == (ENTRY_BYTES, MAX_REDRIVEN * ENTRY_BYTES)
    assert write.forgotten is None
    assert fold([replace(redriven[-1], position=Position(999, 0))], entity).emits == ()
    assert saved(fold([replace(redriven[-1], position=Position(999, 0))], entity)).document == entity.document


def test_marks_that_are_dropped_leave_a_note_because_the_table_is_asked_by_them() -> None:
    marks = {f"{n:0300}": Mark(Position(1, 0), 900.0 + n, Position(1, 0)) for n in range(60)}
    write = fold([arrival(1, "w")], Entity("k", 1, None, marks))
    assert write.evicted > 0
    assert (saved(write).forgotten, saved(write).lost) == (1001.0, 1001.0)


def test_writers_of_applied_re_sends_are_forgotten_last_because_their_first_attempts_may_yet_come() -> None:
    """A call that nobody waits for any more may reach the stream late, and its records are not marked."""
    entity = saved(fold([arrival(1, "late", 7, 5.0), *[arrival(n, f"w{n}") for n in range(2, 60)]]))
    for n in range(60, 300):
        entity = saved(fold([arrival(n, f"w{n}")], entity))
    entity = saved(fold([arrival(300, "late", 8)], entity))
    for n in range(301, 500):
        entity = saved(fold([arrival(n, f"w{n}")], entity))
    assert counter_of(entity.writers, "w100") == -1
    document = saved(fold([arrival(501, "late", 7)], entity)).document
    assert document == entity.document, "it is a repeat"
    assert len(entity.writers) < 1024
