"""Marks: read back as they were written, with the first attempt's bytes behind them, and taken for nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.producers.tidemill.contract.test_request import requests
from tidemill.contract.attempts import MAX_TRIED, marked, marked_key, tried_of, unmarked
from tidemill.contract.lanes import MAX_LANES, partition_key
from tidemill.contract.request import RefusedRequest, Request, decode, encode

times = st.integers(0, MAX_TRIED)


@given(st.integers(0, 1023).map(partition_key), times)
def test_a_key_is_read_back_as_it_was_marked(key: str, tried: int) -> None:
    assert tried_of(marked_key(key, tried)) == tried
    assert marked_key(key, tried).startswith(key)


def test_another_producers_key_is_no_mark_however_it_ends() -> None:
    assert tried_of("my note tried 5") is None


def test_a_marked_key_looks_as_the_contract_says() -> None:
    assert marked_key("lane-17", 1764360000000) == "lane-17 tried 1764360000000"


def test_the_longest_marked_key_is_one_that_kinesis_takes() -> None:
    assert len(marked_key(partition_key(MAX_LANES - 1), MAX_TRIED)) <= 256


@pytest.mark.parametrize(
    "key",
    [
        "",
        "lane-17",
        "lane-17 tried",
        "lane-17 tried ",
        "lane-17 tried x",
        "lane-17 tried -1",
        "lane-17 tried 01",
        "lane-17 tried 1.5",
        "lane-17 tried 1 ",
        "lane-17 tried 1\n",
        "lane-17 tried \N{ARABIC-INDIC DIGIT ONE}",
        "lane-17tried 1",
        f"lane-17 tried {MAX_TRIED + 1}",
        f"lane-17 tried {10**25}",
    ],
)
def test_another_key_has_no_mark(key: str) -> None:
    assert tried_of(key) is None


@given(requests, times)
def test_behind_a_mark_are_the_bytes_of_the_first_attempt(request_: Request, tried: int) -> None:
    payload = encode(request_)
    assert unmarked(marked(payload, tried)) == (payload, tried)


@given(requests, times)
def test_a_marked_request_reads_as_one_that_states_its_time(request_: Request, tried: int) -> None:
    bare = replace(request_, tried=None)
    assert decode(marked(encode(bare), tried)) == replace(request_, tried=tried)


def test_a_marked_request_looks_as_the_contract_says() -> None:
    assert marked(b'{"v":1,"id":"1"}', 1764360000000) == b'{"tried":1764360000000,"v":1,"id":"1"}'


def test_a_mark_before_a_request_that_states_a_time_leaves_that_to_the_request() -> None:
    payload = encode(Request(id="1", cmd="c", data={}, tried=7))
    assert unmarked(marked(payload, 9)) == (payload, 9)
    assert unmarked(payload) == (payload, None)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'{"v":1}',
        b'{"tried":1}',
        b'{"tried":1,}',
        b'{"tried":1,7}',
        b'{"tried":01,"v":1}',
        b'{"tried":-1,"v":1}',
        b'{"tried":1.5,"v":1}',
        b'{"tried":"1","v":1}',
        b'{"tried":null,"v":1}',
        b'{"tried": 1,"v":1}',
        b' {"tried":1,"v":1}',
        b'{"tried":%d,"v":1}' % (MAX_TRIED + 1),
        b'{"tried":%d,"v":1}' % 10**25,
    ],
)
def test_other_bytes_have_no_mark(payload: bytes) -> None:
    assert unmarked(payload) == (payload, None)


def test_a_mark_states_what_the_field_may() -> None:
    assert MAX_TRIED == 2**63 - 1
    assert decode(marked(b'{"v":1,"id":"1","cmd":"c","data":{}}', MAX_TRIED)).tried == MAX_TRIED
    with pytest.raises(RefusedRequest):
        decode(marked(b'{"v":1,"id":"1","cmd":"c","data":{}}', MAX_TRIED + 1))
