"""Which re-sends are doubtful, and what the table says of them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tidemill.contract.request import REDRIVE, Request, encode
from tidemill_consumers.core.batch import Arrival, Entity, Forgotten, Mark, Position, Proof
from tidemill_consumers.core.emits import EMITTER
from tidemill_consumers.core.folding.doubts import EMIT_LAG_SECONDS, Doubts, Question, Search, doubts, judged
from tidemill_consumers.core.folding.writers import COUNTERS, LATE_SECONDS, NOT_APPLIED, digest_of, entry, forgotten

HORIZON = 3_600.0
MARK = Mark(Position(50, 0), 9_000.0, Position(50, 0))
ENTITY = Entity(
    "k",
    7,
    {},
    {"s/0": MARK, "s/1": MARK},
    entry("known", 5, 1) + entry("untold", 5 | NOT_APPLIED, 1),
    forgotten=8_000.0,
)


def resent(writer: str | None = "w", counter: int | None = 3, tried: float | None = 7_000.0, n: int = 60) -> Arrival:
    request = Request(id="i", cmd="c", key="k", writer=writer, counter=counter, data={})
    return Arrival("s/0", Position(n, 0), 10_000.0, "k", request, encode(request), tried=tried)


def asked(one: Arrival, entity: Entity = ENTITY) -> Doubts:
    return doubts([one], {"k": entity}, HORIZON)


def test_a_re_send_of_a_writer_that_may_have_been_forgotten_is_doubtful() -> None:
    (question,) = asked(resent()).questions
    assert question == Question(0, "k", ("s/0", "s/1"), 7_000.0, digest_of("k", "w"), 3)
    assert asked(resent(tried=8_000.0)).questions


def test_the_batch_s_own_shard_is_asked_even_if_the_entity_has_no_mark_of_it() -> None:
    (question,) = asked(replace(resent(), shard="s/2")).questions
    assert set(question.shards) == {"s/0", "s/1", "s/2"}


@pytest.mark.parametrize(
    "one",
    [
        resent(tried=None),
        resent(tried=8_000.001),
        resent("known", 9),
        resent("known", 5),
        resent("untold", 5),
        resent(None),
        resent(counter=None),
        resent(counter=COUNTERS),
        resent(f"{REDRIVE}x"),
        resent(n=50),
        replace(resent(), proof=Proof("forged")),
        replace(resent(), found="beyond"),
        replace(resent(), key="other"),
    ],
)
def test_no_other_is(one: Arrival) -> None:
    assert asked(one) == ([], [])


def test_a_re_send_behind_one_that_could_not_be_told_is_doubtful() -> None:
    assert asked(resent("untold", 6)).questions


def test_an_entity_that_cannot_be_used_asks_nothing() -> None:
    assert asked(resent(), replace(ENTITY, unusable="because")) == ([], [])


def test_beyond_the_horizon_nobody_knows() -> None:
    assert len(asked(resent(tried=6_400.0)).questions) == 1
    assert asked(resent(tried=6_399.999)) == ([], [0])


def test_follow_up_requests_are_looked_for_while_the_consumer_lags_behind_the_stream() -> None:
    """Their marks are as old as the lag."""
    lagging = 10_000.0 - HORIZON - EMIT_LAG_SECONDS
    assert len(asked(resent(f"{EMITTER}s/k", tried=lagging)).questions) == 1
    assert asked(resent(f"{EMITTER}s/k", tried=lagging - 0.001)) == ([], [0])


def test_first_attempts_are_doubtful_for_a_while_after_re_sends_of_forgotten_writers_were_applied() -> None:
    (one,) = asked(resent(tried=None), replace(ENTITY, awaited=10_000.0 - LATE_SECONDS, lost=9_000.0)).questions
    assert (one.shards, one.since) == (("s/0/awaited", "s/1/awaited"), 10_000.0 - LATE_SECONDS)
    assert asked(resent(tried=None), replace(ENTITY, awaited=9_999.999 - LATE_SECONDS)) == ([], [])
    assert asked(resent("known", 6, tried=None), replace(ENTITY, awaited=9_999.0)) == ([], [])


def test_of_what_the_table_never_had_nobody_knows() -> None:
    assert asked(resent(), replace(ENTITY, lost=7_000.0)) == ([], [0])
    assert len(asked(resent(), replace(ENTITY, lost=6_999.999)).questions) == 1


# ── The search ───────────────────────────────────────────────────────────────────────────────────────────────


def page(*writers: tuple[str, int]) -> Forgotten:
    return forgotten("s/0", "k", b"".join([entry(name, counter, 1) for name, counter in writers]))


def found(counter: int, *pages: tuple[float, Forgotten], ended: bool = True) -> str:
    """What is said of the writer's re-send with a counter."""
    one = resent(counter=counter)
    of = asked(one)
    search = Search(of.questions)
    assert search.since == 7_000.0
    for time, content in pages:
        search.look(content, time)
    if ended:
        search.end()
    (said,) = judged([one], of, [search])
    return said.found


def test_it_was_applied_if_its_counter_or_a_higher_one_is_there() -> None:
    content = page(("v", 9), ("w", 3), ("w", 4), ("x", 9))
    assert [found(counter, (9_000.0, content)) for counter in (2, 3, 4, 5)] == ["applied"] * 3 + ["absent"]
    assert found(3, (9_000.0, page(("w", 1))), (8_000.0, page(("w", 3)))) == "applied"
    assert found(3, (9_000.0, page(("w", 3 | NOT_APPLIED)))) == "applied"
    assert found(0) == "absent"


def test_where_not_all_was_read_it_is_unknown_unless_it_was_found() -> None:
    assert found(3, (9_000.0, page(("v", 9))), ended=False) == "unknown"
    assert found(3, (7_000.0, page(("v", 9))), ended=False) == "unknown", "there may be more of that time"
    assert found(3, (6_999.0, page(("v", 9))), ended=False) == "absent"
    assert found(3, (9_000.0, page(("w", 3))), ended=False) == "applied"
    assert found(3, ended=False) == "unknown"


def test_all_shards_must_be_read_and_one_is_enough_to_find_it() -> None:
    one = resent()
    of = asked(one)
    searches = [Search(of.questions), Search(of.questions)]
    searches[0].end()
    assert judged([one], of, searches)[0].found == "unknown"
    searches[1].look(page(("w", 3)), 8_000.0)
    assert judged([one], of, searches)[0].found == "applied"


def test_the_others_of_the_batch_stay_as_they_are() -> None:
    batch = [resent(tried=None), resent(tried=1.0), resent()]
    of = doubts(batch, {"k": ENTITY}, HORIZON)
    search = Search(of.questions)
    search.end()
    assert [one.found for one in judged(batch, of, [search])] == ["", "unknown", "absent"]
