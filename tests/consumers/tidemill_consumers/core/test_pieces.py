"""A batch in pieces: nothing is left out, nothing comes twice, and what is usual is one piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.claim_check import MAX_DATA_BYTES
from tidemill.contract.request import ClaimCheck, Request
from tidemill_consumers.core import pieces as module
from tidemill_consumers.core.batch import Arrival, Position, Unreadable
from tidemill_consumers.core.pieces import FEW, MOST, MOST_CLIENTS, MOST_KEYS, MOST_UPLOADED, pieces


def arrival(sequence: int, sub: int, key: str = "k", client: str | None = None) -> Arrival:
    request = Request(id="i", cmd="c", client=client, data={})
    return Arrival("s", Position(sequence, sub), 1.0, key, request, b"{}")


def refused(sequence: int, sub: int) -> Unreadable:
    return Unreadable("s", Position(sequence, sub), 1.0, "k", b"", "no")


def test_a_usual_batch_is_one_piece() -> None:
    arrivals = [arrival(1, n, f"k{n % 100}", f"c{n % 100}") for n in range(MOST)]
    wrong = [refused(2, 0)]
    assert list(pieces(arrivals, wrong, None)) == [(arrivals, wrong, wrong, None)]


def test_nothing_is_no_piece() -> None:
    assert list(pieces([], [], None)) == []
    assert list(pieces([arrival(1, 0)], [refused(1, 1)], Position(1, 2))) == []


@pytest.mark.parametrize("what", ["key", "client"])
@pytest.mark.parametrize(
    ("many", "sizes"),
    [(10_000, [10_000]), (10_001, [5_000, 5_001]), (20_000, [10_000] * 2), (20_002, [5_000, 7_501, 7_501])],
)
def test_more_entities_or_clients_than_a_piece_may_have_are_several(what: str, many: int, sizes: list[int]) -> None:
    arrivals = [arrival(1, n, **{what: f"{n}"}) for n in range(many)]
    found = list(pieces(arrivals, [], None))
    assert [len(one.arrivals) for one in found] == sizes
    assert [one for piece in found for one in piece.arrivals] == arrivals
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    assert [one.rest for one in found] == [Position(1, end) if end < many else None for end in ends]


def test_more_arrivals_than_a_piece_may_have_are_several() -> None:
    arrivals = [arrival(1, n) for n in range(MOST + 1)]
    assert [(len(one.arrivals), one.rest) for one in pieces(arrivals, [], None)] == [
        (MOST, Position(1, MOST)),
        (1, None),
    ]


@pytest.mark.parametrize("requests", [0, 1])
def test_more_that_is_to_be_answered_than_a_piece_may_have_is_several(requests: int) -> None:
    """Each may name a client; what stands behind the last of a piece waits with it."""
    wrong = [refused(1, n) for n in range(MOST_CLIENTS + 1)]
    behind = [arrival(1, MOST_CLIENTS + 1)] * requests
    first, second = pieces(behind, wrong, None)
    assert first == ([], wrong[:MOST_CLIENTS], wrong, Position(1, MOST_CLIENTS))
    assert second == (behind, wrong[MOST_CLIENTS:], [], None)
    assert list(pieces(behind, wrong[1:], None)) == [(behind, wrong[1:], wrong[1:], None)]


def test_few_arrivals_are_one_piece_whatever_they_are() -> None:
    arrivals = [arrival(1, n, f"{n}", f"{n}") for n in range(FEW)]
    assert len(list(pieces(arrivals, [], None))) == 1


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=9), max_size=5),
    st.integers(0, 5),
    st.integers(0, 9),
    st.data(),
)
def test_all_is_in_one_piece_and_a_record_is_stored_with_its_beginning(
    records: list[list[bool]], sequence: int, sub: int, data: st.DataObject
) -> None:
    """`records`: which parts of each are requests."""
    arrivals = [arrival(s, n) for s, parts in enumerate(records) for n, good in enumerate(parts) if good]
    wrong = [refused(s, n) for s, parts in enumerate(records) for n, good in enumerate(parts) if not good]
    begin = Position(sequence, sub) if data.draw(st.booleans()) else None
    first = begin or Position(0, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", 1)
        patch.setattr(module, "MOST", data.draw(st.integers(1, 5)))
        patch.setattr(module, "MOST_CLIENTS", data.draw(st.integers(1, 3)))
        found = list(pieces(arrivals, wrong, begin))
    assert [one for piece in found for one in piece.arrivals] == [one for one in arrivals if one.position >= first]
    assert [one for piece in found for one in piece.unreadable] == [one for one in wrong if one.position >= first]
    begins = [one for one in wrong if Position(one.position.sequence, 0) >= first]
    assert [one for piece in found for one in piece.refused] == begins
    for piece in found:
        positions = [one.position for one in piece.arrivals] + [one.position for one in piece.unreadable]
        assert positions, "something is done"
        assert piece.rest is None or max(positions) < piece.rest
        assert all(Position(one.position.sequence, 0) >= first for one in piece.refused)
        assert all(piece.rest is None or Position(one.position.sequence, 0) < piece.rest for one in piece.refused)
        first = piece.rest or first


def test_the_sizes_of_a_piece() -> None:
    assert (FEW, MOST, MOST_KEYS, MOST_CLIENTS) == (5_000, 50_000, 10_000, 10_000)


def with_upload(sequence: int, size: int) -> Arrival:
    ref = ClaimCheck("uploads/ann/00", size)
    return Arrival("s", Position(sequence, 0), 1.0, "k", Request(id="i", cmd="c", data={}, ref=ref), b"{}")


@pytest.mark.parametrize(
    ("sizes", "ends"),
    [
        ([MOST_UPLOADED // 2] * 4, [2, 4]),
        ([MOST_UPLOADED // 2, MOST_UPLOADED // 2 + 1, 1, 1], [1, 4]),
        ([MAX_DATA_BYTES] * 3, [1, 2, 3]),
        ([2**62] * 4, [4]),  # not read, as they are too large
        ([0] * 6_000, [6_000]),
    ],
)
def test_a_piece_has_only_so_many_bytes_of_uploads(sizes: list[int], ends: list[int]) -> None:
    """Data of a piece is in memory at once; what each request refers to is what counts, read or not."""
    found = list(pieces([with_upload(n, size) for n, size in enumerate(sizes)], [], None))
    assert [one.arrivals[-1].position.sequence + 1 for one in found] == ends
