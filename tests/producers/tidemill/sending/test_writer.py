"""The writer of a producer: what it writes in less time is what the contract's own way makes."""

from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill.sending.writer as writer_module
from tests.values import documents
from tidemill.contract.request import MAX_DEPTH, MAX_REQUEST_BYTES, Request, decode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.sending.writer import MAX_COUNTER, Writer, uuid7

names = st.text(min_size=1, max_size=20) | st.sampled_from(["?", '"?"', "??", '"', "7,", "\\", "\n", "\N{WATER WAVE}"])


def written(writer: Writer, at: int, **given: Any) -> tuple[str, bytes]:
    """The id and the bytes of its next request."""
    return writer.write(**{"cmd": "c", "key": "k", "data": {}, "client": None, "id": None} | given, at=at)


@given(
    names,
    names,
    names,
    st.none() | names,
    st.integers(0, MAX_COUNTER),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | names,
    st.none() | documents,
)
def test_what_it_writes_is_its_request(
    cmd: str,
    key: str,
    name: str,
    client: str | None,
    counter: int,
    at: int,
    own: str | None,
    data: dict[str, Any] | None,
) -> None:
    made, payload = written(Writer(name, Random(1), counter), at, cmd=cmd, key=key, client=client, id=own, data=data)
    assert made == own or (own is None and UUID(made).version == 7)
    request = Request(
        id=made, cmd=cmd, key=key, client=client, writer=name, counter=counter + 1, at=at, data=data or {}
    )
    assert payload == to_payload(request)
    assert decode(payload) == request


def test_what_has_many_brackets_is_looked_at_and_sent() -> None:
    data: dict[str, Any] = {"many": [[[]] for _ in range(100)]}
    assert decode(written(Writer("w", Random(1)), 5, data=data)[1]).data == data


@pytest.mark.parametrize("text", ["x", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{WATER WAVE}"])
def test_the_largest_request_is_written_and_a_larger_one_is_refused(text: str) -> None:
    writer = Writer("w", Random(1))
    room = MAX_REQUEST_BYTES - len(written(writer, 5, data={"text": ""})[1])
    most = room // len(text.encode())
    payload = written(writer, 5, data={"text": text * most})[1]
    assert MAX_REQUEST_BYTES - len(text.encode()) < len(payload) <= MAX_REQUEST_BYTES
    with pytest.raises(UnsendableRequest, match=str(MAX_REQUEST_BYTES)):
        written(writer, 5, data={"text": text * (most + 1)})


@pytest.mark.parametrize("counter", [9, 98, 99])
def test_the_largest_request_is_so_with_the_counter_that_it_gets(counter: int) -> None:
    payload = to_payload(Request(id="own", cmd="c", key="k", writer="w", counter=counter + 1, at=5, data={"text": ""}))
    room = MAX_REQUEST_BYTES - len(payload)
    assert len(written(Writer("w", Random(1), counter), 5, id="own", data={"text": "x" * room})[1]) == MAX_REQUEST_BYTES
    with pytest.raises(UnsendableRequest, match=str(MAX_REQUEST_BYTES)):
        written(Writer("w", Random(1), counter), 5, id="own", data={"text": "x" * (room + 1)})


@pytest.mark.parametrize("data", [None, {}, {"a": 1, "b": [1.5, {"c": None}]}, {"text": "\N{WATER WAVE}" * 1000}])
def test_a_usual_request_is_written_the_shorter_way(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the contract makes of a command and a client is asked once, and nothing anew while they stay the same."""
    asked: list[str] = []

    def counting(name: str) -> Any:
        function = getattr(writer_module, name)

        def counted(*given: Any) -> Any:
            asked.append(name)
            return function(*given)

        return counted

    writer_module._around.cache_clear()
    for name in ("to_payload", "_around"):
        monkeypatch.setattr(writer_module, name, counting(name))
    writer = Writer("another", Random(1))
    for cmd, client in (("c-1", "x"), ("c-1", "x"), ("c-2", "x"), ("c-2", "y"), ("c-2", "y"), ("c-1", "x")):
        assert decode(written(writer, 5, cmd=cmd, client=client, data=data)[1]).data == (data or {})
    assert asked == [*["_around", "to_payload"] * 3, "_around"], "the last is remembered"


def test_what_is_as_deep_as_may_be_is_written_and_what_is_deeper_is_refused() -> None:
    data: dict[str, Any] = {}
    for depth in range(2, MAX_DEPTH):  # the request itself is the first
        data = {"in": data}
        assert decode(written(Writer("w", Random(1)), 5, data=data)[1]).data == data, depth
    with pytest.raises(UnsendableRequest):
        written(Writer("w", Random(1)), 5, data={"in": data})


def test_counters_rise_by_one() -> None:
    writer = Writer("w", Random(1))
    requests = [decode(written(writer, 5, id=own)[1]) for own in (None, "mine", None)]
    assert [request.counter for request in requests] == [1, 2, 3]
    assert {request.writer for request in requests} == {"w"}


def test_counters_go_on_where_the_writer_was() -> None:
    writer = Writer("w", Random(1), 41)
    assert decode(written(writer, 5)[1]).counter == 42
    assert writer.counter == 42


@pytest.mark.parametrize("counter", [-1, MAX_COUNTER + 1])
def test_a_counter_out_of_range_is_refused(counter: int) -> None:
    with pytest.raises(ValueError, match=f"counter={counter}: use 0 to"):
        Writer("w", Random(1), counter)


def test_the_writers_client_sends_what_names_no_other() -> None:
    writer = Writer("w", Random(1), client="alice")
    given = [(None, None), ("bob", None), (None, "mine"), ("bob", "mine")]
    requests = [decode(written(writer, 5, client=client, id=own)[1]) for client, own in given]
    assert [request.client for request in requests] == ["alice", "bob", "alice", "bob"]
    with pytest.raises(UnsendableRequest, match="client: use text"):
        written(writer, 5, client="")


def test_each_request_has_its_own_command_and_client_whatever_the_one_before_had() -> None:
    writer = Writer("w", Random(1))
    given = [("a", "x"), ("b", "x"), ("b", None), ("a", None), ("a", "y"), ("a", "y")]
    requests = [decode(written(writer, 5, cmd=cmd, client=client)[1]) for cmd, client in given]
    assert [(request.cmd, request.client) for request in requests] == given


@pytest.mark.parametrize("value", [(1, 2), {1}, b"x", UUID(int=7), {1: 2}])
def test_data_that_would_read_back_as_something_else_is_refused(value: Any) -> None:
    writer = Writer("w", Random(1))
    with pytest.raises(UnsendableRequest, match=r"^data\.a: "):
        written(writer, 5, data={"a": value})
    assert writer.counter == 0


@pytest.mark.parametrize("own", [None, "mine"])
def test_what_is_refused_is_not_counted(own: str | None) -> None:
    writer = Writer("w", Random(1))
    with pytest.raises(UnsendableRequest, match="key"):
        written(writer, 5, key="", id=own)
    assert writer.counter == 0


def test_counters_go_on_behind_what_was_made_elsewhere() -> None:
    writer = Writer("w", Random(1), 41)
    written(writer, 5)
    for elsewhere in (7, 2**60):
        writer.skip_to(elsewhere)
    made, payload = written(writer, 5)
    assert decode(payload).counter == 2**60 + 1
    assert str(UUID(made)) == made
    with pytest.raises(UnsendableRequest, match="counter: use 0 to"):
        writer.skip_to(MAX_COUNTER + 1)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_a_uuid7_is_one(at: int, bits: int) -> None:
    text = uuid7(at, bits)
    found = UUID(text)
    assert str(found) == text
    assert found.version == 7
    assert found.variant == "specified in RFC 4122"
    assert found.int >> 80 == at


@given(st.lists(st.integers(0, 2**74 - 1), min_size=2, max_size=2, unique=True))
def test_uuids_of_other_bits_are_others(bits: list[int]) -> None:
    assert uuid7(1, bits[0]) != uuid7(1, bits[1])


def test_uuids_of_later_times_are_greater() -> None:
    ids = [uuid7(at, 2**74 - 1 - at) for at in (0, 1, 2**40, 2**48 - 1)]
    assert ids == sorted(ids)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 2**48 - 1), min_size=1, max_size=4))
def test_ids_are_uuid7s_and_rise_within_a_millisecond(seed: int, times: list[int]) -> None:
    writer = Writer("w", Random(seed))
    made = [[written(writer, at)[0] for _ in range(3)] for at in times]
    for at, some in zip(times, made, strict=True):
        for one in some:
            found = UUID(one)
            assert (str(found), found.version, found.variant) == (one, 7, "specified in RFC 4122")
            assert found.int >> 80 == at
        assert some == sorted(set(some))


def test_ids_of_two_writers_differ() -> None:
    one, other = Writer("w", Random(1)), Writer("w", Random(2))
    assert not {written(one, 5)[0] for _ in range(1000)} & {written(other, 5)[0] for _ in range(1000)}


@pytest.mark.parametrize("clock", ["now", 5.0, True, None])
def test_an_id_of_no_time_is_refused(clock: Any) -> None:
    writer = Writer("w", Random(1))
    written(writer, 5)
    written(writer, 1)
    for _ in range(2):
        with pytest.raises(UnsendableRequest, match=f"at: use a whole number, not {type(clock).__name__}"):
            written(writer, clock)
    with pytest.raises(UnsendableRequest, match="at: use milliseconds since 1970"):
        written(writer, 10**5_000)


def test_ids_of_a_millisecond_keep_their_length_and_rise_whatever_chance_gives() -> None:
    class Highest:
        def getrandbits(self, k: int, /) -> int:
            return (1 << k) - 1

    writer = Writer("w", Highest())
    ids = [written(writer, 5)[0] for _ in range(3)]
    assert ids == sorted(set(ids))
    assert {len(one) for one in ids} == {36}
    assert [one[-12:] for one in ids] == ["c00000000000", "c00000000001", "c00000000002"]


def test_half_of_all_counters_may_be_begun_with() -> None:
    assert MAX_COUNTER == 4_611_686_018_427_387_904
    assert Writer("w", Random(1), MAX_COUNTER).counter == MAX_COUNTER
    for counter in (-1, MAX_COUNTER + 1):
        with pytest.raises(ValueError, match=f"counter={counter}: use 0 to 4611686018427387904"):
            Writer("w", Random(1), counter)


@pytest.mark.parametrize("at", [-(2**63), -(2**63) + 1, 0, 2**62, 2**63 - 1])
def test_a_time_of_64_bits_is_written(at: int) -> None:
    assert decode(written(Writer("w", Random(1)), at)[1]).at == at


@pytest.mark.parametrize("at", [2**63, 2**64 - 1, -(2**63) - 1])
def test_a_time_of_more_than_64_bits_is_refused(at: int) -> None:
    with pytest.raises(UnsendableRequest, match="at: use milliseconds since 1970"):
        written(Writer("w", Random(1)), at)


def test_ids_of_each_millisecond_count_from_where_chance_says() -> None:
    class Same:
        def getrandbits(self, k: int, /) -> int:
            assert k == 74, "all that a UUIDv7 leaves to chance"
            return 7 << 12  # the last twelve stand before the counted ones

    writer = Writer("w", Same())
    tails = [written(writer, at)[0][-12:] for at in (5, 5, 5, 6, 6, 5)]
    assert tails == [f"80000000000{n}" for n in "89a898"]


def test_a_writer_goes_on_behind_the_highest_counter_that_may_be() -> None:
    writer = Writer("w", Random(1), 5)
    for counter, then in ((4, 5), (6, 6), (MAX_COUNTER, MAX_COUNTER)):
        writer.skip_to(counter)
        assert writer.counter == then
    assert decode(written(writer, 5)[1]).counter == MAX_COUNTER + 1


@pytest.mark.parametrize("data", [[1], [], "x", 7, True, ("a",)])
def test_data_that_is_no_document_is_refused(data: Any) -> None:
    writer = Writer("w", Random(1))
    with pytest.raises(UnsendableRequest, match="data"):
        written(writer, 5, data=data)
    assert writer.counter == 0
