"""What stands at or below a shard's mark is a redelivery, even amid one batch, and moves no mark back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Entity, Position, State, Write
from tidemill_consumers.core.folding.writers import counter_of
from tidemill_consumers.core.plan import plan


def append(state: State, request: Request) -> Accepted:
    return Accepted({"ids": [*(state or {"ids": []})["ids"], request.id]})


def arrival(n: int, writer: str | None) -> Arrival:
    request = Request(
        id=f"{n}", cmd="append", key="k", client="c", writer=writer, counter=n if writer else None, data={}
    )
    return Arrival("s", Position(n, 0), 1000.0 + n, "k", request, encode(request))


def fold(arrivals: list[Arrival], entity: Entity | None = None) -> Write:
    (write,) = plan(arrivals, {"k": entity} if entity else {}, {"append": append}, 86_400.0).writes
    return write


@pytest.mark.parametrize("writer", ["w", None])
@pytest.mark.parametrize("batch", [[2, 1], [1, 3, 2], [1, 2, 2], [2, 2, 1, 3]])
def test_what_comes_behind_a_later_one_is_not_applied_and_moves_no_mark_back(
    batch: list[int], writer: str | None
) -> None:
    becomes = fold([arrival(n, writer) for n in batch]).new_entity
    assert becomes is not None
    highest, expected = 0, list[str]()
    for n in batch:
        if n > highest:
            highest = n
            expected.append(f"{n}")
    assert becomes.document == {"ids": expected}
    assert (becomes.marks["s"].position, becomes.marks["s"].since) == (Position(highest, 0), Position(batch[0], 0))


def test_a_counter_of_zero_is_used_up_like_any_other() -> None:
    first = fold([arrival(0, "w")]).new_entity
    assert first is not None
    assert counter_of(first.writers, "w") == 0
    repeat = replace(arrival(0, "w"), position=Position(7, 0))
    again = fold([repeat, replace(arrival(1, "w"), position=Position(8, 0))], first).new_entity
    assert again is not None
    assert again.document == {"ids": ["0", "1"]}
