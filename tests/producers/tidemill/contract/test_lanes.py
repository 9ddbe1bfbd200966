"""Lanes: where a key goes, and that a lane is in one shard whatever the shards."""

from bisect import bisect_right
from hashlib import md5
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.lanes import HASH_BITS, LANES, MAX_LANES, PLAIN_LANES, hash_key, lane_of, partition_key

SPACE = 2**HASH_BITS

counts = st.integers(0, MAX_LANES.bit_length() - 1).map(lambda bits: 2**bits)
keys = st.text(min_size=1, max_size=256)


@st.composite
def lanes_and_one(draw: st.DrawFn) -> tuple[int, int]:
    lanes = draw(counts)
    return lanes, draw(st.integers(0, lanes - 1))


def kinesis_hash(key: str) -> int:
    return int(md5(key.encode()).hexdigest(), 16)


def shard_starts(shards: int) -> list[int]:
    """First hash keys of `shards` shards of equal size, as CreateStream makes them."""
    return [index * SPACE // shards for index in range(shards)]


@given(keys, counts)
def test_the_keys_own_hash_lies_in_its_lanes_slice(key: str, lanes: int) -> None:
    lane = lane_of(key, lanes)
    assert 0 <= lane < lanes
    assert lane * SPACE <= kinesis_hash(key) * lanes < (lane + 1) * SPACE


@given(lanes_and_one())
def test_the_hash_key_is_the_middle_of_the_slice(lane: tuple[int, int]) -> None:
    lanes, number = lane
    assert int(hash_key(number, lanes)) * lanes * 2 == (2 * number + 1) * SPACE


@given(keys, counts, st.data())
def test_key_and_lane_are_in_one_shard_when_shards_are_whole_lanes(key: str, lanes: int, data: st.DataObject) -> None:
    shards = 2 ** data.draw(st.integers(0, lanes.bit_length() - 1))
    lane = lane_of(key, lanes)
    starts = shard_starts(shards)
    assert bisect_right(starts, int(hash_key(lane, lanes))) == bisect_right(starts, kinesis_hash(key))


@given(keys, counts, st.lists(st.integers(1, SPACE - 1), max_size=20, unique=True))
def test_a_lane_is_in_exactly_one_shard_wherever_shards_are_cut(key: str, lanes: int, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), SPACE]
    at = int(hash_key(lane_of(key, lanes), lanes))
    assert sum(start <= at < end for start, end in pairwise(edges)) == 1


def test_lanes_have_keys_of_their_own() -> None:
    assert len({hash_key(lane, MAX_LANES) for lane in range(MAX_LANES)}) == MAX_LANES
    assert len({partition_key(lane) for lane in range(MAX_LANES)}) == MAX_LANES


def test_keys_spread_over_all_lanes() -> None:
    assert {lane_of(f"content/{number}") for number in range(2000)} == set(range(LANES))


def test_known_places() -> None:
    # These may never change: what waits in a spool or stands in a stream was placed by them.
    assert [lane_of(key) for key in ("a", "content/42", "ключ")] == [3, 38, 48]
    assert hash_key(0) == str(2**121)
    assert partition_key(7) == "lane-7"


@pytest.mark.parametrize("lanes", [0, -1, 3, 63, 65, 2 * MAX_LANES])
def test_other_numbers_of_lanes_are_refused(lanes: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        lane_of("key", lanes)
    with pytest.raises(ValueError, match="power of two"):
        hash_key(0, lanes)


@pytest.mark.parametrize("lane", [-1, 64])
def test_a_lane_that_is_not_there_is_refused(lane: int) -> None:
    with pytest.raises(ValueError, match="not one of 64"):
        hash_key(lane, 64)


def test_how_many_there_are() -> None:
    assert (LANES, PLAIN_LANES, MAX_LANES) == (64, 512, 1024)
    assert lane_of("any", MAX_LANES) < MAX_LANES


def test_lanes_are_known_where_md5_is_not_for_security(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a policy of FIPS 140, MD5 is to be had for checksums alone."""

    def restricted(data: bytes, *, usedforsecurity: bool = True) -> Any:
        if usedforsecurity:
            raise ValueError("[digital envelope routines] unsupported")
        return md5(data, usedforsecurity=False)

    monkeypatch.setattr("tidemill.contract.lanes.md5", restricted)
    key = "a key that nobody has asked for yet"
    assert lane_of(key, MAX_LANES) == kinesis_hash(key) >> 118
