"""What a fold does with redeliveries, repeats, poison and order. Values only."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.tree import ROOT
from tidemill.contract.request import REDRIVE, Document, Json, Reply, Request, encode
from tidemill_consumers.core.batch import (
    Accepted,
    Arrival,
    Emit,
    Entity,
    Mark,
    Position,
    Proof,
    Rejected,
    Rule,
    Rules,
    State,
    Time,
    Verified,
    Write,
    fresh,
    with_request,
)
from tidemill_consumers.core.calling.asking import MAX_SAID, Watch
from tidemill_consumers.core.emits import MAX_EMIT_BYTES, emitter, kept_bytes
from tidemill_consumers.core.fitting import MAX_RECENT_BYTES
from tidemill_consumers.core.folding.budget import MAX_OUTCOME_BYTES, MAX_OUTCOMES
from tidemill_consumers.core.folding.fold import MAX_REASON, MOST_QUARANTINED
from tidemill_consumers.core.folding.outcomes import MAX_RECENT
from tidemill_consumers.core.folding.writers import ENTRY_BYTES, MAX_REDRIVEN, counter_of, entry
from tidemill_consumers.core.item_limits import unstorable
from tidemill_consumers.core.outcomes import kept
from tidemill_consumers.core.plan import MOST_EMITTING, plan
from tidemill_consumers.core.streams import NAME_CHARACTERS

HERE = Path(__file__).relative_to(ROOT).as_posix()
DAY = 86_400.0


def append(state: State, request: Request) -> Accepted:
    return Accepted({"ids": [*(state or {"ids": []})["ids"], request.id]})


def refuse(state: State, request: Request) -> Rejected:
    return Rejected("no")


def explode(state: State, request: Request) -> Accepted:
    raise RuntimeError("boom")


def tell(state: State, request: Request) -> Accepted:
    told = (state or {"told": 0})["told"] + 1
    return Accepted({"told": told}, emits=(Emit("hear", "ear", {"n": told}), Emit("hear", "other", {"n": told}, "c")))


RULES: Rules = {"append": append, "refuse": refuse, "explode": explode, "tell": tell, "pay": Verified(append)}


def arrival(n: int, cmd: str = "append", *, key: str = "k", writer: str | None = "w", shard: str = "s") -> Arrival:
    request = Request(
        id=f"{writer}-{n}", cmd=cmd, key=key, client="c", writer=writer, counter=n if writer else None, data={}
    )
    return Arrival(shard, Position(n, 0), 1000.0 + n, key, request, encode(request))


def fold(arrivals: list[Arrival], entity: Entity | None = None) -> Write:
    (write,) = plan(arrivals, {entity.key: entity} if entity else {}, RULES, DAY).writes
    return write


def saved(write: Write) -> Entity:
    assert write.new_entity is not None
    return write.new_entity


def test_requests_of_a_key_are_applied_in_stream_order_by_one_write() -> None:
    write = fold([arrival(1), arrival(2), arrival(3)])
    assert saved(write).document == {"ids": ["w-1", "w-2", "w-3"]}
    assert (write.expected_version, saved(write).version, write.first) == (0, 1, Position(1, 0))
    assert [receipt.reply.status for receipt in write.receipts] == ["accepted"] * 3


def test_a_redelivered_batch_changes_nothing_and_is_answered_alike() -> None:
    batch = [arrival(1), arrival(2, "refuse"), arrival(3, "explode")]
    first = fold(batch)
    again = fold(batch, saved(first))
    assert again.new_entity is None
    assert again.receipts == first.receipts


def test_a_batch_that_overlaps_the_last_applies_only_what_is_new() -> None:
    first = fold([arrival(1), arrival(2)])
    second = fold([arrival(2), arrival(3)], saved(first))
    assert saved(second).document == {"ids": ["w-1", "w-2", "w-3"]}


def test_sequence_numbers_are_compared_as_numbers() -> None:
    first = fold([arrival(9)])
    assert saved(fold([arrival(10)], saved(first))).document == {"ids": ["w-9", "w-10"]}


def test_a_producers_repeat_under_a_new_sequence_is_not_applied_and_was_answered_before() -> None:
    first = fold([arrival(1), arrival(2)])
    repeat = replace(arrival(1), position=Position(7, 0))
    write = fold([repeat], saved(first))
    assert saved(write).document == {"ids": ["w-1", "w-2"]}
    assert write.receipts == ()


def test_a_producers_repeat_in_the_same_delivery_is_answered_with_it() -> None:
    repeat = replace(arrival(1), position=Position(7, 0))
    write = fold([arrival(1), arrival(2), repeat])
    assert [receipt.reply.status for receipt in write.receipts] == ["accepted"] * 3


def test_a_redelivery_is_answered_though_a_repeat_of_it_came_with_the_next_records() -> None:
    first = fold([arrival(1), arrival(2)])
    repeat = replace(arrival(1), position=Position(7, 0))
    # Nobody heard of the first delivery: it comes again with what came meanwhile, and then once more.
    second = fold([arrival(1), arrival(2), repeat], saved(first))
    third = fold([arrival(1), arrival(2), repeat], saved(second))
    for write in (second, third):
        assert [receipt.reply.status for receipt in write.receipts] == ["accepted"] * 3


def test_a_redelivery_of_what_was_answered_long_ago_is_not_answered_wrongly() -> None:
    entity = saved(fold([arrival(1)]))
    for number in range(2, 6):
        entity = saved(fold([arrival(number)], entity))
    assert fold([arrival(number) for number in range(1, 5)], entity).receipts == ()
    assert [one.reply.status for one in fold([arrival(5)], entity).receipts] == ["accepted"]
    later = fold([*[arrival(number) for number in range(1, 5)], arrival(6)], entity)
    assert ([one.reply.id for one in later.receipts], dict(saved(later).recent)) == (["w-6"], {})


def test_a_repeat_on_another_shard_is_not_applied() -> None:
    first = fold([arrival(1)])
    assert saved(fold([arrival(1, shard="other")], saved(first))).document == {"ids": ["w-1"]}


def test_neither_is_one_under_the_same_id() -> None:
    forged = with_request(arrival(6), replace(arrival(5).request, data={"other": 1}))
    write = fold([arrival(5), forged])
    assert saved(write).document == {"ids": ["w-5"]}
    assert [(one.arrival, one.reason) for one in write.quarantine] == [(forged, "the writer's counter was used before")]


def test_the_same_counter_with_another_body_is_quarantined() -> None:
    first = fold([arrival(5)])
    forged = arrival(6)
    forged = with_request(forged, Request(id="x", cmd="append", key="k", writer="w", counter=5, data={}))
    write = fold([forged], saved(first))
    assert saved(write).document == {"ids": ["w-5"]}
    assert [one.arrival for one in write.quarantine] == [forged]


def test_a_request_without_a_writer_is_recognised_by_its_id() -> None:
    first = fold([arrival(1, writer=None)])
    again = replace(arrival(1, writer=None), position=Position(9, 0))
    assert saved(fold([again], saved(first))).document == {"ids": ["None-1"]}


def test_poison_is_quarantined_and_its_mark_passes() -> None:
    write = fold([arrival(1, "explode"), arrival(2, "unheard of"), arrival(3)])
    assert saved(write).document == {"ids": ["w-3"]}
    raised = explode.__code__.co_firstlineno + 1
    assert [one.reason for one in write.quarantine] == [
        f"the rule raised RuntimeError: boom ({HERE}:{raised}, in explode)",
        "unknown command unheard of",
    ]
    assert saved(write).marks["s"].position == Position(3, 0)


def test_a_document_that_cannot_be_stored_is_its_requests_fault() -> None:
    rules: Rules = {"huge": lambda state, request: Accepted({"x": "y" * 500_000}), "append": append}
    (write,) = plan([arrival(1, "huge"), arrival(2)], {}, rules, DAY).writes
    assert saved(write).document == {"ids": ["w-2"]}
    assert "cannot be stored" in write.quarantine[0].reason


def test_too_many_outcomes_stop_the_key_and_the_rest_goes_on_from_there() -> None:
    batch = [replace(arrival(n, "refuse"), position=Position(1, n)) for n in range(MAX_OUTCOMES + 9)]
    write = fold(batch)
    assert write.stopped == Position(1, MAX_OUTCOMES)
    assert len(write.receipts) == MAX_OUTCOMES
    rest = fold(batch[MAX_OUTCOMES:], saved(write))
    assert rest.stopped is None
    assert [receipt.reply.id for receipt in rest.receipts] == [one.request.id for one in batch[MAX_OUTCOMES:]]


def test_a_key_that_stopped_keeps_every_outcome_that_may_be_asked_for_again() -> None:
    batch = [arrival(n, "refuse") for n in range(1, MAX_OUTCOMES + 10)]
    first = fold(batch)
    again = fold(batch, saved(first))
    assert (again.new_entity, again.stopped) == (None, first.stopped)
    assert again.receipts == first.receipts


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("x" * 50_000, "bytes; 16384 are the most"),
        (float("nan"), "out of range"),
        ({1, 2}, "set is not JSON"),
        (json.loads("[" * 31 + "]" * 31), "nested deeper than 30 levels"),
        ("\0" * 4_000, "24002 bytes; 16384 are the most"),
    ],
)
def test_an_answer_that_cannot_be_kept_is_its_requests_fault(answer: Json, reason: str) -> None:
    rules: Rules = {"answer": lambda state, request: Accepted({"changed": True}, answer), "append": append}
    (write,) = plan([arrival(1, "answer"), arrival(2)], {}, rules, DAY).writes
    assert saved(write).document == {"ids": ["w-2"]}
    assert write.quarantine[0].reason.startswith("the answer cannot be kept: ")
    assert reason in write.quarantine[0].reason


def test_a_rule_without_an_outcome_is_its_requests_fault() -> None:
    rules: Rules = {"forget": lambda state, request: cast("Accepted", None), "append": append}
    (write,) = plan([arrival(1, "forget"), arrival(2)], {}, rules, DAY).writes
    assert saved(write).document == {"ids": ["w-2"]}
    assert [receipt.reply.status for receipt in write.receipts] == ["quarantined", "accepted"]


@pytest.mark.parametrize("cmd", ["shout", "balk"])
def test_a_long_reason_is_cut(cmd: str) -> None:
    def shout(state: State, request: Request) -> Accepted:
        raise ValueError("\ud800" + "x" * 100_000)

    rules: Rules = {"shout": shout, "balk": lambda state, request: Rejected("\ud800" + "x" * 100_000)}
    (write,) = plan([arrival(1, cmd)], {}, rules, DAY).writes
    error = write.receipts[0].reply.error
    assert error is not None
    assert MAX_REASON == 1_000
    assert len(error) == MAX_REASON if cmd == "balk" else MAX_SAID < len(error) < MAX_REASON
    assert error.endswith("xxx" if cmd == "balk" else ", in shout)")
    assert "?xxx" in error
    assert [one.reason for one in write.quarantine] == ([error] if cmd == "shout" else [])


def test_long_outcomes_stop_the_key_before_they_are_many() -> None:
    def wordy(n: int) -> Arrival:
        return arrival(n, "\N{WATER WAVE}" * 128, writer="\N{WATER WAVE}" * 100)

    batch = [wordy(n) for n in range(1, MAX_OUTCOMES)]
    entity, passes = None, 0
    while batch:
        write = fold(batch, entity)
        entity = saved(write)
        assert sum(len(text.encode()) for text in entity.recent.values()) < MAX_RECENT_BYTES
        batch = batch[len(write.receipts) :]
        passes += 1
    assert 2 < passes < 20


def test_a_repeat_takes_no_room() -> None:
    one = arrival(1, "explode", writer=None)
    write = fold([replace(one, position=Position(n, 0)) for n in range(3 * MAX_OUTCOMES)])
    assert write.stopped is None
    assert len(write.receipts) == 3 * MAX_OUTCOMES
    assert list(saved(write).recent) == [one.request.id]


def test_a_writer_without_a_counter_is_recognised_by_its_id() -> None:
    one = arrival(1)
    one = with_request(one, Request(id="i", cmd="append", key="k", client="c", writer="w", data={}))
    first = fold([one])
    write = fold([replace(one, position=Position(9, 0))], saved(first))
    assert saved(write).document == {"ids": ["i"]}
    assert [receipt.reply.status for receipt in write.receipts] == ["accepted"]


@pytest.mark.parametrize(("writer", "counter"), [("w", None), (None, 1), (None, None)])
def test_one_whose_writer_or_counter_is_missing_is_recognised_by_its_id_alone(
    writer: str | None, counter: int | None
) -> None:
    request = Request(id="i", cmd="append", key="k", client="c", writer=writer, counter=counter, data={})
    bare = with_request(arrival(2), request)
    first = fold([arrival(1), bare, replace(bare, position=Position(3, 0)), arrival(4)])
    assert (saved(first).document, first.quarantine) == ({"ids": ["w-1", "i", "w-4"]}, ())
    assert len(saved(first).writers) == ENTRY_BYTES
    again = fold([replace(bare, position=Position(9, 0))], saved(first))
    assert (saved(again).document, again.quarantine) == ({"ids": ["w-1", "i", "w-4"]}, ())
    assert [one.reply.status for one in again.receipts] == ["accepted"], "its outcome is kept"
    assert counter_of(saved(fold([arrival(1), bare])).writers, "w") == 1


def test_what_an_entity_remembers_is_bounded() -> None:
    entity = None
    for n in range(1, 200):
        entity = saved(fold([arrival(n, "refuse", writer=f"w{n}")], entity))
    assert entity is not None
    assert 4 * ENTRY_BYTES <= len(entity.writers) < 1024
    assert counter_of(entity.writers, "w199") == 199
    assert list(entity.recent) == [f"w{n}-{n}" for n in range(199 - MAX_RECENT, 200)]


# ── Redriven requests: the id of one that was quarantined, a writer of their own ───────────────────────────────


def redriven(n: int, of: Arrival, cmd: str = "append") -> Arrival:
    place = f"{REDRIVE}{of.shard}-{of.position.sequence}-{of.position.sub}"
    return with_request(arrival(n), msgspec.structs.replace(of.request, cmd=cmd, writer=place, counter=1))


def test_a_redriven_request_is_applied_late_and_answered_with_its_new_outcome() -> None:
    poison = arrival(1, "explode")
    first = saved(fold([poison, arrival(2)]))
    late = fold([redriven(3, poison)], first)
    assert saved(late).document == {"ids": ["w-2", "w-1"]}
    assert [(receipt.client, receipt.reply.id, receipt.reply.status) for receipt in late.receipts] == [
        ("c", "w-1", "accepted")
    ]


def test_one_that_is_redriven_in_the_same_delivery_is_told_its_new_outcome_only() -> None:
    poison = arrival(1, "explode")
    batch = [poison, redriven(2, poison)]
    first = fold(batch)
    assert [one.reply.status for one in first.receipts] == ["quarantined", "accepted"]
    assert list(saved(first).recent.values()) == ['["w-1","accepted"]']
    assert [one.reply.status for one in fold(batch, saved(first)).receipts] == ["accepted", "accepted"]


def test_a_request_redriven_again_changes_nothing_and_is_answered_alike() -> None:
    poison = arrival(1, "explode")
    late = fold([redriven(2, poison)], saved(fold([poison])))
    again = fold([redriven(3, poison)], saved(late))
    assert saved(again).document == saved(late).document
    assert again.receipts[0].reply == late.receipts[0].reply
    both = fold([redriven(2, poison), redriven(3, poison)], saved(fold([poison])))
    assert saved(both).document == saved(late).document


def test_after_a_redrive_the_first_outcome_is_told_no_more() -> None:
    poison = arrival(1, "explode")
    late = fold([redriven(2, poison)], saved(fold([poison])))
    redelivered = fold([poison, redriven(2, poison)], saved(late))
    assert redelivered.new_entity is None
    assert [receipt.reply.status for receipt in redelivered.receipts] == ["accepted", "accepted"]
    repeated = fold([replace(poison, position=Position(5, 0))], saved(late))
    assert [receipt.reply.status for receipt in repeated.receipts] == ["accepted"]


def test_a_redriven_request_that_fails_again_is_quarantined_again_and_can_be_redriven() -> None:
    poison = arrival(1, "explode")
    failed = fold([redriven(2, poison, "explode")], saved(fold([poison])))
    assert [one.arrival.position.sequence for one in failed.quarantine] == [2]
    late = fold([redriven(3, redriven(2, poison))], saved(failed))
    assert saved(late).document == {"ids": ["w-1"]}


def test_a_request_that_was_applied_after_all_is_not_redriven() -> None:
    """Its quarantine was stored, its entity was not, and when it came again the rules had been mended."""
    answered = arrival(1, "refuse")
    assert saved(fold([redriven(2, answered)], saved(fold([answered])))).document is None
    together = saved(fold([arrival(1), redriven(2, arrival(1))]))
    assert together.document == {"ids": ["w-1"]}


def test_many_redriven_requests_push_out_no_writer_that_is_at_work() -> None:
    entity = saved(fold([arrival(1, writer="alive")]))
    for n in range(2, 200):
        entity = saved(fold([redriven(n, arrival(n, writer="gone"))], entity))
    assert counter_of(entity.writers, "alive") == 1
    assert (len(entity.writers), len(entity.redriven)) == (ENTRY_BYTES, MAX_REDRIVEN * ENTRY_BYTES)
    assert counter_of(entity.redriven, f"{REDRIVE}s-199-0") == 1


def test_a_shard_is_forgotten_only_after_the_streams_retention() -> None:
    old = saved(fold([arrival(1, shard="old")]))
    kept = saved(fold([replace(arrival(2), arrived=1000.0 + DAY)], old))
    gone = saved(fold([replace(arrival(3), arrived=1002.0 + DAY)], kept))
    assert set(kept.marks) == {"old", "s"}
    assert set(gone.marks) == {"s"}


@pytest.mark.parametrize(("arrived", "kept"), [(999.9, False), (1000.0, True), (1000.1, True)])
def test_a_shard_is_remembered_to_the_end_of_the_retention(arrived: float, kept: bool) -> None:
    marks = {
        shard: Mark(Position(1, 0), at, Position(1, 0))
        for shard, at in {"s/1": arrived, "s/2": 5.0, "s/3": 2e3}.items()
    }
    write = fold([replace(arrival(1, shard="s/0"), arrived=1000.0 + DAY)], Entity("k", 1, None, marks))
    assert set(saved(write).marks) == {"s/0", "s/3"} | ({"s/1"} if kept else set())


@pytest.mark.parametrize("cmd", ["append", "refuse"])
def test_an_outcome_stays_though_the_next_write_leaves_none(cmd: str) -> None:
    """What it is the outcome of may be delivered again, or come by another shard."""
    first = saved(fold([arrival(1, "refuse", writer="v")]))
    later = saved(fold([arrival(2, cmd)], first))
    assert later.recent["v-1"] == first.recent["v-1"] == '["v-1","rejected",null,"no"]'
    again = fold([arrival(1, "refuse", writer="v", shard="s/child")], later)
    assert [(one.reply.status, one.reply.error) for one in again.receipts] == [("rejected", "no")]


# ── Follow-up requests ───────────────────────────────────────────────────────────────────────────────────────────


def requests_of(write: Write) -> list[Request]:
    return [request for emitted in write.emits for request in emitted.requests]


def counters(write: Write) -> list[int | None]:
    return [request.counter for request in requests_of(write)]


def test_follow_up_requests_have_a_writer_of_their_own_and_rising_counters() -> None:
    write = fold([arrival(1, "tell"), arrival(2, "refuse"), arrival(3, "tell")])
    assert [emitted.position.sequence for emitted in write.emits] == [1, 3]
    found = requests_of(write)
    assert [(one.cmd, one.key, one.client, one.data) for one in found] == [
        ("hear", "ear", None, {"n": 1}),
        ("hear", "other", "c", {"n": 1}),
        ("hear", "ear", None, {"n": 2}),
        ("hear", "other", "c", {"n": 2}),
    ]
    assert {one.writer for one in found} == {"emit/s/k"}
    assert counters(write) == [1, 2, 3, 4]
    assert len({one.id for one in found}) == 4
    assert saved(write).emitted == 4
    assert counters(fold([arrival(4, "tell")], saved(write))) == [5, 6]


def test_the_ids_of_follow_up_requests_come_of_their_cause_and_their_place() -> None:
    first, later = fold([arrival(7, "tell")]), fold([arrival(1, "tell"), arrival(7, "tell")])
    assert [one.id for one in requests_of(first)] == [one.id for one in requests_of(later)[2:]]


def test_a_redelivery_emits_the_same_again_and_changes_nothing() -> None:
    batch = [arrival(1, "tell"), arrival(2), arrival(3, "tell")]
    first = fold(batch)
    again = fold(batch, saved(first))
    assert (again.new_entity, again.emits) == (None, first.emits)
    assert fold(batch[2:], saved(first)).emits == first.emits[1:]


def test_a_write_keeps_what_may_not_have_left_and_no_more() -> None:
    first = fold([arrival(1, "tell"), arrival(2, "tell")])
    # Nobody heard of the first delivery's end: its second part comes again, with what came meanwhile.
    second = fold([arrival(2, "tell"), arrival(3, "tell")], saved(first))
    assert counters(second) == [3, 4, 5, 6]
    assert saved(second).emits == second.emits
    third = fold([arrival(4, "refuse")], saved(second))
    assert (third.emits, saved(third).emits, saved(third).emitted) == ((), (), 6)
    assert fold([arrival(n, "tell") for n in (1, 2, 3)], saved(third)).emits == ()


def test_another_shards_arrivals_drop_nothing_that_may_not_have_left() -> None:
    here = fold([arrival(1, "tell")])
    there = fold([arrival(2, "tell", shard="other")], saved(here))
    assert saved(there).emits == (*here.emits, *there.emits)
    assert fold([arrival(1, "tell")], saved(there)).emits == here.emits
    later = replace(arrival(3, shard="other"), arrived=2000.0 + DAY)
    assert saved(fold([later], saved(there))).emits == ()


def test_a_producers_repeat_emits_nothing() -> None:
    first = fold([arrival(1, "tell")])
    assert fold([replace(arrival(1, "tell"), position=Position(7, 0))], saved(first)).emits == ()


def test_what_is_emitted_is_applied_once_however_often_it_comes() -> None:
    sent = requests_of(fold([arrival(n, "tell") for n in range(1, 4)]))
    arrivals = [
        with_request(Arrival("s", Position(n, 0), 1000.0 + n, "ear", one, encode(one)), replace(one, cmd="append"))
        for n, one in enumerate([*sent[::2], *sent[::2]])
    ]
    (write,) = plan(arrivals, {}, RULES, DAY).writes
    assert saved(write).document == {"ids": [one.id for one in sent[::2]]}
    assert (write.receipts, write.quarantine, list(saved(write).recent)) == ((), (), [])


@pytest.mark.parametrize(
    ("emits", "reason"),
    [
        ((Emit("hear", ""),), "follow-up request 1: key: use text of 1 to 256 characters"),
        ((Emit("hear", "a"), Emit("", "b")), "follow-up request 2: cmd: use text of 1 to 128 characters"),
        ((Emit("hear", "a", {"x": float("nan")}),), "data.x: float is not JSON"),
        ((Emit("hear", "a", {"x": {1}}),), "set is not JSON"),
        ((Emit("hear", "a", cast("Json", [])),), "data: use a dict, not list"),
        ((Emit("hear", "a", {"x": "y" * 300_000}),), "may have 262144"),
        ((Emit("hear", "a", {"x": "y" * MAX_EMIT_BYTES}),), f"more than {MAX_EMIT_BYTES} bytes"),
        ((Emit("hear", "a"),) * 1000, f"more than {MAX_EMIT_BYTES} bytes"),
        (({"cmd": "hear"},), "follow-up request 1: dict is no Emit"),
        (7, "the rule's emits are int, and must be a tuple of Emit"),
    ],
)
def test_what_cannot_be_emitted_is_its_requests_fault(emits: Json, reason: str) -> None:
    rules: Rules = {"emit": lambda state, request: Accepted({"changed": True}, emits=emits), "append": append}
    (write,) = plan([arrival(1, "emit"), arrival(2)], {}, rules, DAY).writes
    assert saved(write).document == {"ids": ["w-2"]}
    assert (write.emits, saved(write).emitted) == ((), 0)
    assert reason in write.quarantine[0].reason


def test_too_many_follow_up_requests_stop_the_key_and_the_rest_goes_on_from_there() -> None:
    rules: Rules = {"emit": lambda state, request: Accepted(state, emits=(Emit("hear", "a", {"x": "y" * 10_000}),))}
    batch = [arrival(n, "emit") for n in range(1, 20)]
    entity, found, passes = Entity("k"), list[int | None](), 0
    left = batch
    while left:
        (write,) = plan(left, {"k": entity}, rules, DAY).writes
        entity = saved(write)
        assert entity.emits == write.emits
        assert sum(map(kept_bytes, entity.emits)) < MAX_OUTCOME_BYTES + MAX_EMIT_BYTES
        (again,) = plan(batch, {"k": entity}, rules, DAY).writes
        assert (again.emits, again.stopped) == (write.emits, write.stopped)
        found += counters(write)
        left = [one for one in left if write.stopped and one.position >= write.stopped]
        passes += 1
    assert found == list(range(1, 20))
    assert passes == 4


def test_follow_up_requests_of_shards_that_are_gone_do_not_fill_an_item() -> None:
    rules: Rules = {"emit": lambda state, request: Accepted(state, emits=(Emit("hear", "a", {"x": "y" * 10_000}),))}
    entity = Entity("k")
    for shard in range(20):
        batch = [arrival(n, "emit", writer=f"w{shard}", shard=f"s/{shard}") for n in range(1, 4)]
        (write,) = plan(batch, {"k": entity}, rules, DAY).writes
        entity = saved(write)
        assert entity.emits[-3:] == write.emits
        assert sum(map(kept_bytes, entity.emits)) <= MAX_RECENT_BYTES
    assert len(entity.emits) > 3


@pytest.mark.parametrize("key", ["k", "k" * 63, "k" * 64, "k" * 256, "\N{WATER WAVE}" * 256])
def test_a_writers_name_fits_the_contract_whatever_the_key(key: str) -> None:
    write = fold([arrival(1, "tell", key=key)])
    assert {one.writer for one in requests_of(write)} == {emitter(key, "s")}
    shard = f"{'_' * NAME_CHARACTERS}/shardId-000000000000"
    for is_proven in (False, True):
        name = emitter(key, shard, is_proven)
        assert name.endswith(f"/{'_' * NAME_CHARACTERS}/{key}") == (len(key.encode()) < 64)
        assert len(name) < 128


def test_what_two_streams_cause_an_entity_to_emit_has_a_writer_each_and_what_two_shards_cause_has_one() -> None:
    """The batches of two streams leave when they like: one writer's counters could be overtaken by higher ones."""
    entity, writers = Entity("k"), list[set[str | None]]()
    for n, shard in enumerate(["a/shardId-0", "a/shardId-1", "b/shardId-0", "direct"], 1):
        write = fold([arrival(n, "tell", shard=shard)], entity)
        entity = saved(write)
        writers.append({one.writer for one in requests_of(write)})
        assert counters(write) == [2 * n - 1, 2 * n]
    assert writers == [{"emit/a/k"}, {"emit/a/k"}, {"emit/b/k"}, {"emit/direct/k"}]


@given(st.data(), st.integers(1, 30))
def test_any_redelivery_applies_each_request_once_and_in_order(data: st.DataObject, count: int) -> None:
    """Batches may begin again anywhere at or before the first request that is not yet applied."""
    log = [arrival(n) for n in range(1, count + 1)]
    entity = Entity("k")
    reached = 0
    while reached < count:
        start = data.draw(st.integers(0, reached))
        end = data.draw(st.integers(reached + 1, count))
        entity = saved(fold(log[start:end], entity))
        reached = end
    assert entity.document == {"ids": [one.request.id for one in log]}


def test_what_another_shard_s_outcomes_displaced_is_not_answered_wrongly() -> None:
    first = fold([arrival(n, "refuse") for n in range(1, 4)])
    entity = saved(first)
    for n in range(4, 4 + MAX_RECENT):
        entity = saved(fold([arrival(n, "refuse", shard="s/child")], entity))
    assert "w-1" not in entity.recent
    again = fold([arrival(n, "refuse") for n in range(1, 4)], entity)
    assert {one.reply.status for one in again.receipts} <= {"rejected"}


def test_another_stream_displaces_nothing_that_may_still_be_asked_for() -> None:
    """Two streams' batches come at the same time: one's may be saved, and not answered, while the other's go on."""
    first = fold([arrival(1), *[arrival(n, "refuse") for n in range(2, 50)], arrival(50)])
    entity = saved(first)
    for n in range(1, 2 * MAX_RECENT):
        entity = saved(fold([arrival(n, "refuse", writer="v", shard="b/0")], entity))
    again = fold([arrival(1), *[arrival(n, "refuse") for n in range(2, 50)], arrival(50)], entity)
    assert (again.new_entity, again.receipts) == (None, first.receipts)
    assert [one for one in entity.recent if one.startswith("v")] == [
        f"v-{n}" for n in range(MAX_RECENT - 1, 2 * MAX_RECENT)
    ]
    # Once it goes on itself, it is displaced as ever.
    later = saved(fold([arrival(n, "refuse") for n in range(51, 60)], entity))
    assert [one for one in later.recent if one.startswith("w")] == [f"w-{n}" for n in range(18, 60) if n != 50]


def test_the_outcome_of_what_came_by_two_streams_is_kept_for_both() -> None:
    """A request of one stream is redriven to another, and quarantined there too, while its first batch comes again."""
    batch = [arrival(1), arrival(2, "explode")]
    entity = saved(fold([arrival(1, "refuse", writer="v", shard="b/0")], saved(fold(batch))))
    request = replace(batch[1].request, writer="redrive/a", counter=1)
    entity = saved(fold([Arrival("b/0", Position(2, 0), 1002.0, "k", request, encode(request))], entity))
    for n in range(3, 3 * MAX_RECENT):
        entity = saved(fold([arrival(n, "refuse", writer="v", shard="b/0")], entity))
    late = fold(batch, entity)
    assert [one.reply.status for one in late.receipts] == ["accepted", "quarantined"]


def test_a_stream_that_is_gone_is_displaced_once_its_marks_are() -> None:
    entity = saved(fold([arrival(n, "refuse") for n in range(1, 50)]))
    entity = saved(fold([arrival(1, "refuse", writer="v", shard="b/0")], entity))
    assert len(entity.recent) == 50
    late = replace(arrival(2, "refuse", writer="v", shard="b/0"), arrived=5000.0 + DAY)
    assert len(saved(fold([late], entity)).recent) == MAX_RECENT + 1


def test_what_two_streams_cause_to_be_emitted_has_room_beside_each_other() -> None:
    rules: Rules = {"emit": lambda state, request: Accepted(state, emits=(Emit("hear", "a", {"x": "y" * 9_000}),))}
    batches = {shard: [arrival(n, "emit", writer=shard, shard=shard) for n in range(1, 9)] for shard in ("a/0", "b/0")}
    entity, left = Entity("k"), dict(batches)
    stopped: list[str] = []
    for shard in ["a/0", "b/0"] * 20:
        if not left[shard]:
            continue
        (write,) = plan(left[shard], {"k": entity}, rules, DAY).writes
        others = [one for one in entity.emits if one.shard != shard]
        entity = saved(write)
        assert [one for one in entity.emits if one.shard != shard] == others, "the other's may not have left"
        assert sum(map(kept_bytes, entity.emits)) <= MAX_RECENT_BYTES
        stopped += [shard] if write.stopped else []
        left[shard] = [one for one in left[shard] if write.stopped and one.position >= write.stopped]
    assert left == {"a/0": [], "b/0": []}
    assert set(stopped) == {"a/0", "b/0"}


# ---- who it is from


FORGED, PROVEN = Proof("signed, by none of the keys registered for 'c'"), Proof(client="c")
WORD = Proof()


def test_a_rule_for_verified_clients_takes_no_others() -> None:
    write = fold([arrival(1, "pay"), replace(arrival(2, "pay"), proof=PROVEN)])
    assert write.new_entity
    assert write.new_entity.document == {"ids": ["w-2"]}
    assert [(one.arrival.position.sequence, one.reason) for one in write.quarantine] == [
        (1, "unsigned, and pay takes requests of verified clients only")
    ]
    assert [one.reply.status for one in write.receipts] == ["quarantined", "accepted"]


@pytest.mark.parametrize(
    ("client", "proof", "is_taken"),
    [
        ("c", Proof(client="c"), True),
        ("c", WORD, False),
        ("c", Proof(client="d"), False),
        (None, WORD, True),
        (None, Proof(client="c"), False),
        (None, None, False),
    ],
)
def test_what_is_proven_is_the_very_client(client: str | None, proof: Proof | None, is_taken: bool) -> None:
    one = arrival(1, "pay")
    write = fold([replace(one, request=msgspec.structs.replace(one.request, client=client), proof=proof)])
    why = "unsigned" if proof is None else "sealed, but nobody has proven its client"
    reason = f"{why}, and pay takes requests of verified clients only"
    assert [one.reason for one in write.quarantine] == ([] if is_taken else [reason])
    assert saved(write).document == ({"ids": ["w-1"]} if is_taken else None)


@pytest.mark.parametrize(
    ("proof", "client", "emitted_for", "is_proven"),
    [
        (Proof(client="c"), "c", "c", True),
        (Proof(client="c"), "c", "d", False),
        (Proof(client="c"), "c", None, False),
        (None, "c", "c", False),
        (WORD, "c", "c", False),
        (WORD, None, "c", False),
        (WORD, None, None, False),
    ],
)
def test_an_emit_carries_the_proof_of_its_cause_and_no_more(
    proof: Proof | None, client: str | None, emitted_for: str | None, is_proven: bool
) -> None:
    rules: Rules = {"emit": lambda state, request: Accepted(state, emits=(Emit("pay", "a", client=emitted_for),))}
    one = arrival(1, "emit")
    cause = replace(one, request=msgspec.structs.replace(one.request, client=client), proof=proof)
    (write,) = plan([cause], {}, rules, DAY).writes
    (sent,) = requests_of(write)
    assert sent.writer == ("emit-proven/s/k" if is_proven else "emit/s/k")
    assert (sent.client, sent.counter) == (emitted_for, 1)


def test_other_rules_take_both() -> None:
    write = fold([arrival(1), replace(arrival(2), proof=PROVEN)])
    assert write.new_entity
    assert write.new_entity.document == {"ids": ["w-1", "w-2"]}


@pytest.mark.parametrize("cmd", ["append", "pay", "unheard of"])
def test_what_is_forged_is_quarantined_and_uses_up_no_counter(cmd: str) -> None:
    write = fold([replace(arrival(9, cmd), proof=FORGED)])
    assert write.new_entity
    assert write.new_entity.document is None
    assert write.new_entity.writers == b""
    assert [one.reason for one in write.quarantine] == [FORGED.problem]
    assert [one.reply.status for one in write.receipts] == ["quarantined"]
    again = fold([replace(arrival(9, cmd), proof=PROVEN)], write.new_entity)
    assert [one.reply.status for one in again.receipts] == ["quarantined"], "redelivered, it is answered alike"
    assert again.new_entity is None


def test_nobody_pushes_out_the_writers_of_verified_clients() -> None:
    verified = "verified/" + "0" * 128
    arrivals = [replace(arrival(1, writer=verified), proof=PROVEN)]
    arrivals += [arrival(n, writer=f"verified/{n}") for n in range(2, 100)]
    entity = saved(fold(arrivals))
    assert counter_of(entity.writers, verified) == 1
    assert counter_of(entity.writers, "verified/2") == -1


# ── A rule that changes what it was given, or keeps what it gave ─────────────────────────────────────────────────


@pytest.mark.parametrize("document", [None, {"n": 1}, {"n": 1, "tags": ["a"], "by": {"x": 1.5}}])
@pytest.mark.parametrize("end", ["reject", "raise"])
def test_half_a_change_of_a_refused_request_leaves_nothing(document: State, end: str) -> None:
    def halfway(state: State, request: Request) -> Rejected:
        state = state if state is not None else {}
        state["n"] = float("nan")
        state.setdefault("tags", []).append("x" * 500_000)
        state.setdefault("by", {})["x"] = object()
        if end == "raise":
            raise ValueError("halfway")
        return Rejected("halfway")

    before = msgspec.to_builtins(document)
    rules: Rules = {"halfway": halfway, "look": lambda state, request: Accepted(state, {"saw": state})}
    batch = [arrival(1, "halfway"), arrival(2, "look"), arrival(3, "halfway"), arrival(4, "look")]
    (write,) = plan(batch, {"k": Entity("k", 1, document)}, rules, DAY).writes
    assert saved(write).document == before == document
    assert [one.reply.data for one in write.receipts[1::2]] == [{"saw": before}] * 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n": float("nan")}, "the number nan is out of range"),
        ({"x": "y" * 500_000}, "262144 are the most"),
        ({"x": {1}}, "set is not JSON"),
    ],
)
@pytest.mark.parametrize("document", [{"n": 1}, {"n": 1, "tags": ["a"]}])
def test_a_change_in_place_is_measured_as_any_other(document: Document, change: Document, reason: str) -> None:
    def in_place(state: State, request: Request) -> Accepted:
        assert state is not None
        state.update(change)
        return Accepted(state)

    before = msgspec.to_builtins(document)
    entity = Entity("k", 1, document)
    (write,) = plan([arrival(1, "change")], {"k": entity}, {"change": in_place}, DAY).writes
    assert reason in write.quarantine[0].reason
    assert saved(write).document == before == entity.document


def test_a_change_in_place_is_taken_where_it_can_be_stored() -> None:
    def in_place(state: State, request: Request) -> Accepted:
        state = {} if state is None else state
        state.setdefault("ids", []).append(request.id)
        return Accepted(state)

    (write,) = plan([arrival(1), arrival(2)], {}, {"append": in_place}, DAY).writes
    assert saved(write).document == {"ids": ["w-1", "w-2"]}


@pytest.mark.parametrize("make", [lambda: {"n": 0}, lambda: {"n": 0, "tags": ["a"], "by": {"x": [1]}}])
def test_what_a_rule_keeps_and_changes_later_is_not_what_is_saved(make: Callable[[], Document]) -> None:
    kept = make()

    def careless(state: State, request: Request) -> Accepted:
        kept["n"] += 1
        if isinstance(kept.get("tags"), list):
            kept["tags"].append(float("nan") if request.key == "last" else "b")
            kept["by"]["x"].append(1)
        return Accepted(kept, kept, (Emit("hear", "ear", kept),))

    batch = [arrival(1, key="a"), arrival(2, key="a"), arrival(3, key="b"), arrival(4, key="last")]
    a, b, *_ = plan(batch, {}, {"append": careless}, DAY).writes
    assert [(saved(one).document or {})["n"] for one in (a, b)] == [2, 3]
    assert [one.reply.data["n"] for one in a.receipts] == [1, 2]
    assert [one.data["n"] for one in requests_of(a)] == [1, 2]
    assert unstorable(saved(b).document) is None
    assert b"NaN" not in msgspec.json.encode(saved(b).document)


def popping(state: State, request: Request) -> Accepted:
    seen = [*(state or {"seen": []})["seen"], request.data.pop("n")]
    request.data["more"] = float("nan")
    return Accepted({"seen": seen}, emits=(Emit("hear", "ear", request.data.get("rest", {})),))


def numbered(n: int, position: int | None = None) -> Arrival:
    one = arrival(n, "pop")
    request = msgspec.structs.replace(one.request, data={"n": n, "rest": {"of": [n]}})
    return Arrival(one.shard, Position(position or n, 0), one.arrived, one.key, request, encode(request))


def test_a_request_whose_data_a_rule_changed_is_known_by_what_it_was() -> None:
    rules: Rules = {"pop": popping}
    (first,) = plan([numbered(1), numbered(1, 2)], {}, rules, DAY).writes
    assert (saved(first).document, first.quarantine) == ({"seen": [1]}, ())
    assert saved(first).writers[14:] == (zlib.crc32(encode(numbered(1).request)) & 0xFFFF).to_bytes(2)
    (again,) = plan([numbered(1, 7)], {"k": saved(first)}, rules, DAY).writes
    assert (saved(again).document, again.quarantine) == ({"seen": [1]}, ())


def test_a_conflicts_second_round_plans_what_it_was() -> None:
    rules: Rules = {"pop": popping}
    batch = [numbered(1), numbered(2)]
    (first,) = plan(batch, {}, rules, DAY).writes
    assert batch[0].request.data != {"n": 1, "rest": {"of": [1]}}
    (second,) = plan(list(map(fresh, batch)), {}, rules, DAY).writes
    assert second == first


def test_a_writer_that_was_saved_by_an_earlier_version_is_known_by_its_checksum() -> None:
    one = arrival(1)
    old = Entity("k", 1, {"ids": ["w-1"]}, {}, entry("w", 1, zlib.crc32(encode(one.request)) & 0xFFFF))
    write = fold([replace(one, position=Position(7, 0))], old)
    assert (saved(write).document, write.quarantine) == ({"ids": ["w-1"]}, ())
    other = with_request(one, replace(one.request, data={"other": 1}))
    write = fold([replace(other, position=Position(8, 0))], old)
    assert [one.reason for one in write.quarantine] == ["the writer's counter was used before"]


def test_once_the_time_is_over_no_other_arrival_is_begun_but_the_first_of_all() -> None:
    arrivals = [arrival(1), arrival(2), arrival(3, key="l"), arrival(4)]
    for looks, taken, not_begun in [
        (0, 1, {"l": Position(3, 0)}),
        (2, 2, {"l": Position(3, 0)}),
        (3, 3, {"l": Position(3, 0)}),
        (9, 4, {}),
    ]:
        planned = plan(arrivals, {}, RULES, DAY, time=Time(iter(range(99)).__next__, looks))
        assert sum(len(one.receipts) for one in planned.writes) == taken
        assert planned.not_begun == not_begun
        assert planned.writes[0].stopped == {1: Position(2, 0), 2: Position(4, 0)}.get(taken)


def test_a_plan_ends_when_enough_is_to_be_quarantined() -> None:
    arrivals = [arrival(n, "unheard of", key=f"k{n}") for n in range(MOST_QUARANTINED + 2)]
    planned = plan(arrivals, {}, RULES, DAY)
    assert len(planned.writes) == MOST_QUARANTINED
    assert list(planned.not_begun) == [f"k{MOST_QUARANTINED}", f"k{MOST_QUARANTINED + 1}"]


def scribbled(rule: Rule) -> Rule:
    """A rule that first changes all of the request that it was given, frozen fields too."""

    def scribbles(state: State, request: Request) -> Accepted | Rejected:
        own = fresh(Arrival("s", Position(0, 0), 0.0, "k", request, encode(request))).request
        for name in ("id", "cmd", "key", "client", "writer"):
            msgspec.structs.force_setattr(request, name, "nobody's")
        msgspec.structs.force_setattr(request, "counter", 99)
        msgspec.structs.force_setattr(request, "at", 99)
        request.data["x"] = 1
        return rule(state, own)

    return scribbles


def test_a_rule_that_changes_its_request_changes_neither_whom_nor_what_the_plan_names() -> None:
    rules = {name: rule for name, rule in RULES.items() if not isinstance(rule, Verified)}
    rules["answer"] = lambda state, request: Accepted(state, {"id": request.id})
    of_writer = [arrival(n, cmd) for n, cmd in enumerate(["append", "answer", "refuse", "explode", "tell"] * 2, 1)]
    without = [arrival(n, cmd, writer=None) for n, cmd in enumerate(["append", "refuse", "explode", "tell"], 11)]
    repeats = [arrival(20, "append"), arrival(20, "append"), arrival(20, "answer"), arrival(3, "refuse")]
    batch = [*of_writer, *without, *(replace(one, position=Position(30 + n, 0)) for n, one in enumerate(repeats))]

    def made(of: Rules) -> Write:
        (write,) = plan([fresh(one) for one in batch], {}, of, DAY).writes
        # The traces differ by the frame of the rule around.
        return replace(write, quarantine=tuple(replace(one, trace=()) for one in write.quarantine))

    assert made({name: scribbled(rule) for name, rule in rules.items()}) == made(rules)


def test_an_arrival_is_as_it_came_however_a_rule_left_it() -> None:
    event = Request(id="x" * 5000, cmd="event.track", key="k", data={"n": 1})  # longer than a client's may be
    for request in (arrival(1).request, replace(arrival(2, writer=None).request, client=None, at=5, sig="s"), event):
        before = msgspec.structs.asdict(request) | {"data": dict(request.data)}
        one = Arrival("s", Position(1, 0), 0.0, "k", request, b"", None, "", encode(request))
        scribbled(append)(None, one.request)
        assert one.request.id == "nobody's"
        assert fresh(one).request == Request(**before)


def known_after(marks: dict[str, bool], shard: str, earlier: int) -> dict[str, bool]:
    """Which marks say that all their outcomes are there, after a rejected request of a shard; by what they said."""
    recent = {f"o{n}": kept(f"o{n}", Reply(f"o{n}", "rejected", error="x"), "one") for n in range(earlier)}
    before = Entity("k", 3, None, {one: Mark(Position(1, 0), 900.0, Position(1, 0), it) for one, it in marks.items()})
    (write,) = plan([arrival(5, "refuse", shard=shard)], {"k": replace(before, recent=recent)}, RULES, DAY).writes
    return {one: mark.known for one, mark in saved(write).marks.items()}


@pytest.mark.parametrize(
    ("earlier", "shard", "after"),
    [
        (MAX_RECENT, "one/a", {"one/a": True, "one/b": True, "one/c": False}),
        (MAX_RECENT + 1, "one/a", {"one/a": True, "one/b": False, "one/c": False}),
    ],
)
def test_a_mark_says_whether_an_outcome_of_its_own_may_be_gone(
    earlier: int, shard: str, after: dict[str, bool]
) -> None:
    """Not of the delivery at hand, all of whose outcomes are there; of the other shards any may be."""
    assert known_after({"one/a": False, "one/b": True, "one/c": False}, shard, earlier) == after


def test_an_outcome_that_has_to_go_makes_no_other_stream_s_marks_doubtful() -> None:
    marks = {"one/a": True, "one/b": True, "two/a": True, "two/b": False}
    after = known_after(marks, "one/a", MAX_RECENT + 1)
    assert after == {"one/a": True, "one/b": False, "two/a": True, "two/b": False}


def test_a_plan_ends_when_enough_has_follow_up_requests() -> None:
    arrivals = [arrival(n, "tell", key=f"k{n}") for n in range(MOST_EMITTING + 1)]
    planned = plan(arrivals, {}, RULES, DAY)
    assert (len(planned.writes), list(planned.not_begun)) == (MOST_EMITTING, [f"k{MOST_EMITTING}"])
    assert (MOST_EMITTING, MOST_QUARANTINED) == (2_000, 2_000)


@pytest.mark.parametrize("more", [0, 1, 2])
def test_of_an_entity_that_cannot_be_used_as_many_are_quarantined_at_once_as_of_any_others(more: int) -> None:
    broken = Entity("k", 7, unusable="it is not JSON")
    write = fold([arrival(n) for n in range(MOST_QUARANTINED + more)], broken)
    assert (write.expected_version, write.new_entity, write.first) == (0, None, Position(0, 0))
    assert (len(write.receipts), len(write.quarantine)) == (MOST_QUARANTINED, MOST_QUARANTINED)
    assert write.stopped == (Position(MOST_QUARANTINED, 0) if more else None)
    reason = "its entity cannot be used: it is not JSON"
    assert write.quarantine[0].reason == reason
    assert write.receipts[-1].reply == Reply(f"w-{MOST_QUARANTINED - 1}", "quarantined", error=reason)


def test_of_an_entity_that_cannot_be_used_those_who_name_nobody_are_not_answered() -> None:
    silent = arrival(1)
    silent = replace(silent, request=replace(silent.request, client=None))
    write = fold([silent, arrival(2)], Entity("k", 7, unusable="it is not JSON"))
    assert [(one.client, one.reply.id, one.position) for one in write.receipts] == [("c", "w-2", Position(2, 0))]
    assert [one.arrival.position for one in write.quarantine] == [Position(1, 0), Position(2, 0)]


def test_who_watches_is_told_of_the_arrival_whose_rule_is_at_work() -> None:
    watch, seen = Watch(), []

    def look(state: State, request: Request) -> Rejected:
        seen.append(watch.at_work)
        return Rejected("no")

    arrivals = [arrival(1, "look"), arrival(2, "look")]
    plan(arrivals, {}, {"look": look}, DAY, watch)
    assert seen == arrivals
    assert watch.at_work is None


def test_a_write_says_that_its_entity_had_a_place_and_has_none_any_more() -> None:
    placed = Entity("k", 1, {"ids": [], "geohash": "u33dc1v0z"})
    assert fold([arrival(1)], placed).leaves_place
    assert not fold([arrival(1)], Entity("k", 1, {"ids": []})).leaves_place
    assert not fold([arrival(1, "refuse")], placed).leaves_place
