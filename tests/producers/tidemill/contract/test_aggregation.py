"""The KPL format: both ways against aws-kinesis-agg, and everything that has to be refused."""

import base64
from collections.abc import Iterable
from contextlib import suppress
from hashlib import md5
from typing import Any

import pytest
from aws_kinesis_agg import aggregator, deaggregator
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.contract.aggregation import (
    EMPTY_BYTES,
    MAGIC,
    Aggregate,
    Columns,
    CorruptAggregate,
    UserRecord,
    is_aggregate,
    pack,
    reading,
    unpack,
)
from tidemill.contract.lanes import hash_key, partition_key
from tidemill.sending.records import MAX_RECORD_BYTES

keys = st.text(min_size=1, max_size=300)
payloads = st.binary(max_size=400).filter(lambda data: not data.startswith(MAGIC))
hash_keys = st.integers(0, 2**128 - 1).map(str)
plain = st.builds(UserRecord, keys, payloads)
hashed = st.builds(UserRecord, keys, payloads, hash_keys)
few_keys = st.builds(UserRecord, st.sampled_from(["a", "ключ", "🗝" * 60]), payloads, st.none() | hash_keys)
batches = st.lists(plain | hashed, min_size=1, max_size=40) | st.lists(few_keys, min_size=1, max_size=200)


def theirs(records: Iterable[UserRecord]) -> bytes:
    oracle = aggregator.AggRecord(1024 * 1024)
    for record in records:
        assert oracle.add_user_record(record.key, record.data, record.hash_key)
    packed: bytes = oracle.get_contents()[2]
    return packed


def event_of(packed: bytes) -> dict[str, Any]:
    kinesis = {
        "kinesisSchemaVersion": "1.0",
        "sequenceNumber": "1",
        "approximateArrivalTimestamp": 0,
        "data": base64.b64encode(packed),
    }
    return {"kinesis": kinesis}


def read_by_theirs(packed: bytes) -> list[tuple[str, bytes]]:
    found: list[dict[str, Any]] = deaggregator.deaggregate_records([event_of(packed)])
    return [(one["kinesis"]["partitionKey"], base64.b64decode(one["kinesis"]["data"])) for one in found]


def sealed(body: bytes) -> bytes:
    return MAGIC + body + md5(body).digest()


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def record(*fields: bytes) -> bytes:
    return field(3, b"".join(fields))


KEY = field(1, b"a")
ONE = record(field(1, 0), field(3, b"data"))
FOUND = [UserRecord("a", b"data")]


@given(batches)
def test_packs_byte_for_byte_as_aws_kinesis_agg(records: list[UserRecord]) -> None:
    assert pack(records) == theirs(records)


def test_the_very_bytes() -> None:
    """Worked out by hand from aggregation-format.md."""
    body = (
        "0a 01 61"  # partition_key_table: a
        "0a 04 d0ba d0bb"  # partition_key_table: кл
        "12 01 37"  # explicit_hash_key_table: 7
        "1a 08 0800 1000 1a 02 6869"  # record: key 0, hash key 0, hi
        "1a 04 0801 1a 00"  # record: key 1, nothing
    )
    packed = pack([UserRecord("a", b"hi", "7"), UserRecord("кл", b"")])
    assert packed.hex(" ") == (MAGIC + bytes.fromhex(body)).hex(" ") + " " + md5(bytes.fromhex(body)).digest().hex(" ")


@given(batches)
def test_reads_what_it_packs(records: list[UserRecord]) -> None:
    packed = pack(records)
    assert is_aggregate(packed)
    assert unpack(packed) == records


@given(batches)
def test_aws_kinesis_agg_reads_what_it_packs(records: list[UserRecord]) -> None:
    assert read_by_theirs(pack(records)) == [(record.key, record.data) for record in records]


@given(st.lists(hashed, min_size=1, max_size=40))
def test_aws_kinesis_agg_finds_the_explicit_hash_keys(records: list[UserRecord]) -> None:
    found = deaggregator.deaggregate_records([event_of(pack(records))])
    assert [one["kinesis"]["explicitHashKey"] for one in found] == [record.hash_key for record in records]


def columns(records: list[UserRecord]) -> Columns:
    return [one.key for one in records], [one.data for one in records], [one.hash_key for one in records]


@given(batches)
def test_the_quick_way_of_reading_agrees_with_the_thorough_one(records: list[UserRecord]) -> None:
    body = pack(records)[len(MAGIC) : -16]
    assert reading._read(body) == columns(records)
    assert reading._read_fast(body) in (columns(records), None)


def test_the_quick_way_is_taken_for_usual_records() -> None:
    records = [UserRecord(f"key-{n}", b"x" * n, "7" if n % 2 else None) for n in range(400)]
    assert reading._read_fast(pack(records)[len(MAGIC) : -16]) == columns(records)


@pytest.mark.parametrize("size", [1, 126, 127, 128, 129, 255, 256, 300, 16_255, 16_256, 16_383])
def test_the_quick_way_reads_keys_of_lengths_of_one_byte_and_two(size: int) -> None:
    records = [UserRecord(letter * size, b"x", "7" * size) for letter in "ab"]
    assert reading._read_fast(pack(records)[len(MAGIC) : -16]) == columns(records)


@pytest.mark.parametrize("size", [16_384, 16_512, 40_000])
def test_keys_of_longer_lengths_are_left_to_the_thorough_way(size: int) -> None:
    for records in ([UserRecord("a" * size, b"x")], [UserRecord("a", b"x", "7" * size)]):
        packed = pack(records)
        assert reading._read_fast(packed[len(MAGIC) : -16]) is None
        assert unpack(packed) == records


def test_a_length_of_three_bytes_is_never_read_as_one_of_two() -> None:
    """The key's last character then is the tag of another key, and the first record is that one's 26 characters."""
    key = "a" * 16_383 + "\n"
    records = [UserRecord(key, b"x" * 21), UserRecord(key, b"y")]
    assert unpack(pack(records)) == records


@pytest.mark.parametrize("size", [1, 126, 127, 128, 129, 16_255, 16_256, 16_383, 16_384, 300_000])
def test_the_thorough_way_reads_data_of_every_length(size: int) -> None:
    data = b"x" * size
    body = field(9, 1) + KEY + field(2, b"7") + record(field(1, 0), field(2, 0), field(3, data))
    assert reading._read_fast(body) is None
    assert unpack(sealed(body)) == [UserRecord("a", data, "7")]


@pytest.mark.parametrize("cut", range(len(KEY + ONE + ONE)))
def test_what_is_cut_off_is_read_up_to_a_whole_record_or_refused(cut: int) -> None:
    body = (KEY + ONE + ONE)[:cut]
    if body == KEY + ONE:
        assert unpack(sealed(body)) == FOUND
    else:
        with pytest.raises(CorruptAggregate):
            unpack(sealed(body))


@pytest.mark.parametrize("data", [MAGIC, MAGIC + bytes(15), MAGIC + md5(b"").digest()])
def test_the_magic_and_a_checksum_alone_hold_no_record(data: bytes) -> None:
    with pytest.raises(CorruptAggregate, match=f"^{len(data)} bytes hold no record$"):
        unpack(data)


def test_many_keys_large_data() -> None:
    records = [UserRecord(f"key-{n}", bytes(n), str(n)) for n in (0, 1, 127, 128, 16_383, 16_384, 300_000)]
    records += [UserRecord(f"key-{n}", b"", str(n)) for n in range(20_000)]
    assert unpack(pack(records)) == records


@given(st.lists(st.tuples(keys, payloads), min_size=1, max_size=60), st.none() | hash_keys, st.integers(0, 5000))
def test_a_growing_aggregate_knows_its_size_and_keeps_its_limit(
    items: list[tuple[str, bytes]], hash_key: str | None, limit: int
) -> None:
    growing = Aggregate(hash_key)
    taken: list[UserRecord] = []
    for key, data in items:
        before = growing.size
        added = [*taken, UserRecord(key, data, hash_key)]
        if growing.append(key, data, limit):
            taken = added
            assert growing.size <= limit
        else:
            assert growing.size == before
            assert len(pack(added)) > limit
    assert growing.count == len(taken)
    if taken:
        assert growing.pack() == pack(taken)
        assert growing.size == len(pack(taken))


@pytest.mark.parametrize("hash_key", [None, "7", "9" * 39])
def test_an_aggregate_grows_is_let_go_of_and_begins_again(hash_key: str | None) -> None:
    growing = Aggregate(hash_key)
    empty = growing.size
    assert (growing.count, empty) == (0, EMPTY_BYTES + (2 + len(hash_key) if hash_key else 0))
    for _ in range(2):
        taken: list[UserRecord] = []
        for key, data in (("a", b"x"), ("b" * 200, b"y" * 200), ("a", b""), ("b" * 200, b"z" * 20_000)):
            taken.append(UserRecord(key, data, hash_key))
            packed = pack(taken)
            assert not growing.append(key, data, len(packed) - 1)
            assert growing.append(key, data, len(packed))
            assert (growing.pack(), growing.size, growing.count) == (packed, len(packed), len(taken))
        growing.release()
        assert (growing.size, growing.count) == (len(packed), 4), "what they were, in number and size"
        assert len(growing.pack()) == EMPTY_BYTES
        growing.clear()
        assert (growing.count, growing.size) == (0, empty)


def test_a_key_is_stored_once() -> None:
    growing = Aggregate()
    growing.append("key" * 50, b"x", 1000)
    before = growing.size
    growing.append("key" * 50, b"x", 1000)
    assert growing.size - before == 7


def test_fills_to_the_limit() -> None:
    growing = Aggregate()
    while growing.append(f"content/{growing.count % 50:038d}", b"x" * 184, 1024 * 1024):
        pass
    assert growing.size >= 0.995 * 1024 * 1024


def test_leaves_room_for_the_outer_key_where_aws_kinesis_agg_does_not() -> None:
    key, data = "content/" + "0" * 240, b"x" * 100
    outer = partition_key(63)
    growing = Aggregate(hash_key(63))
    while growing.append(key, data, MAX_RECORD_BYTES - len(outer)):
        pass
    assert 0.995 * MAX_RECORD_BYTES < len(growing.pack()) + len(outer) <= MAX_RECORD_BYTES
    theirs = aggregator.AggRecord()
    while theirs.add_user_record(key.encode(), data):
        pass
    assert len(theirs.get_contents()[2]) + len(theirs.get_partition_key()) > MAX_RECORD_BYTES


def test_no_records_are_no_aggregate() -> None:
    with pytest.raises(ValueError, match="no records"):
        pack([])


@given(batches, st.data())
def test_a_changed_byte_is_refused(records: list[UserRecord], data: st.DataObject) -> None:
    packed = bytearray(pack(records))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CorruptAggregate):
        unpack(bytes(packed))


@given(batches, st.data())
def test_a_truncated_one_is_refused(records: list[UserRecord], data: st.DataObject) -> None:
    packed = pack(records)
    with pytest.raises(CorruptAggregate):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(batches, st.binary(min_size=1, max_size=20))
def test_trailing_bytes_are_refused(records: list[UserRecord], trailing: bytes) -> None:
    with pytest.raises(CorruptAggregate):
        unpack(pack(records) + trailing)


def damaged(body: bytes, at: int, byte: int) -> bytes:
    at %= len(body)
    return body[:at] + bytes([byte]) + body[at + 1 :]


bodies = batches.map(lambda records: pack(records)[len(MAGIC) : -16])


@given(st.binary(max_size=200) | st.builds(damaged, bodies, st.integers(0, 2000), st.integers(0, 255)))
@example(pack([UserRecord("a", b"x"), UserRecord("b", b"y")])[len(MAGIC) : -16])
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        records = unpack(sealed(body))
    except CorruptAggregate:
        return
    assert unpack(pack(records)) == records != []


@given(batches, st.data())
def test_a_body_cut_and_sealed_again_is_never_read_as_more(records: list[UserRecord], data: st.DataObject) -> None:
    body = pack(records)[len(MAGIC) : -16]
    cut = data.draw(st.integers(0, len(body) - 1))
    with suppress(CorruptAggregate):
        found = unpack(sealed(body[:cut]))
        assert found == records[: len(found)]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(KEY + record(field(1, 1), field(3, b"x")), "outside", id="key index outside its table"),
        pytest.param(ONE, "outside", id="no key table"),
        pytest.param(KEY + record(field(1, 2**40), field(3, b"x")), "outside", id="huge key index"),
        pytest.param(KEY + record(field(1, 0), field(2, 0), field(3, b"x")), "outside", id="no hash key table"),
        pytest.param(KEY + field(2, b"7") + record(field(1, 0), field(2, 1), field(3, b"x")), "outside", id="hash"),
        pytest.param(KEY, "no records", id="keys only"),
        pytest.param(KEY + record(field(3, b"x")), "without its key", id="record without key"),
        pytest.param(KEY + record(field(1, 0)), "without its key or its data", id="record without data"),
        pytest.param(KEY + field(3, b""), "without its key", id="empty record"),
        pytest.param(field(1, b"\xff") + ONE, "not UTF-8", id="key not UTF-8"),
        pytest.param(KEY + field(2, b"\xff") + ONE, "not UTF-8", id="hash key not UTF-8"),
        pytest.param(KEY + ONE + b"\x1a", "outside", id="record without length"),
        pytest.param(KEY + ONE + b"\x1a\x05\x08\x00", "cut off", id="record cut off"),
        pytest.param(KEY + record(field(1, 0), b"\x1a\x09data"), "cut off", id="data cut off"),
        pytest.param(KEY + record(field(1, 0), b"\x1a"), "outside", id="data without length"),
        pytest.param(KEY + ONE + b"\x0a\x80", "outside", id="number cut off"),
        pytest.param(KEY + b"\x1a" + b"\xff" * 10 + b"\x01", "64 bits", id="number of eleven bytes"),
        pytest.param(KEY + record(b"\x08" + b"\xff" * 9 + b"\x02", field(3, b"x")), "64 bits", id="65 bits"),
        pytest.param(field(1, 7) + ONE, "wire type 0", id="key table as number"),
        pytest.param(KEY + record(field(1, b"0"), field(3, b"x")), "wire type 2", id="index as bytes"),
        pytest.param(KEY + record(field(1, 0), field(3, 7)), "wire type 0", id="data as number"),
        pytest.param(KEY + record(field(1, 0), field(3, b"x"), field(4, b"")), "tag", id="tag without key"),
        pytest.param(KEY + record(field(1, 0), field(3, b"x"), field(4, field(1, b"\xff"))), "UTF-8", id="tag"),
        pytest.param(KEY + record(field(1, 0), field(3, b"x"), field(4, b"\x0a\x05t")), "cut off", id="tag cut off"),
        pytest.param(KEY + ONE + b"\x20\x80\x80" + b"\x80" * 8 + b"\x00", "64 bits", id="eleven bytes of zero"),
        pytest.param(KEY + ONE + b"\xa0\x80\x80\x80\x80\x00\x01", "32 bits", id="tag of six bytes"),
        pytest.param(KEY + ONE + b"\x2a\x80\x80\x80\x80\x80\x00", "32 bits", id="length of six bytes"),
        pytest.param(KEY + ONE + b"\x02\x00", "field 0", id="field 0"),
        pytest.param(KEY + ONE + b"\x27", "wire type 7", id="unknown wire type"),
        pytest.param(KEY + ONE + varint(2**32 | 2) + b"\x00", "field", id="field number too large"),
        pytest.param(KEY + ONE + b"\x24", "wire type 4", id="group ends before it begins"),
        pytest.param(KEY + ONE + b"\x23", "outside", id="group without end"),
        pytest.param(KEY + ONE + b"\x23\x2c", "never began", id="group ends as another"),
        pytest.param(KEY + ONE + b"\x25abc", "cut off", id="fixed32 cut off"),
        pytest.param(KEY + ONE + b"\x21abcdefg", "cut off", id="fixed64 cut off"),
        pytest.param(KEY + ONE + b"\x1dabcd", "field 3 has wire type 5", id="record as fixed32"),
        pytest.param(
            KEY + record(field(1, 0), field(3, b"x"), b"\x25abcd"), "field 4 has wire type 5", id="tag as fixed32"
        ),
        pytest.param(
            KEY + record(field(1, 0), field(3, b"x"), field(4, field(1, b"t") + b"\x15abcd")),
            "field 2 has wire type 5",
            id="a tag's value as fixed32",
        ),
        pytest.param(KEY + ONE + b"\x23\x00\x01\x24", "field 0", id="field 0 in a group"),
        pytest.param(
            KEY + field(2, b"7") + record(field(2, 0), field(3, b"x")), "without its key", id="hash key alone"
        ),
        pytest.param(
            KEY + record(field(1, 0), field(4, field(1, b"t"))), "without its key or its data", id="tag for data"
        ),
    ],
)
def test_is_refused_whole(body: bytes, problem: str) -> None:
    with pytest.raises(CorruptAggregate, match=problem):
        unpack(sealed(body))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ONE + KEY, id="table after the records"),
        pytest.param(KEY + record(field(3, b"data"), field(1, 0)), id="data before the index"),
        pytest.param(KEY + record(field(1, 9), field(1, 0), field(3, b"old"), field(3, b"data")), id="the last wins"),
        pytest.param(KEY + record(b"\x08\x80\x00", field(3, b"data")), id="a longer form of zero"),
        pytest.param(KEY + record(field(1, 0), field(3, b"data"), field(4, field(1, b"tag"))), id="tagged"),
        pytest.param(KEY + record(field(1, 0), field(3, b"data"), field(4, field(2, b"v") + field(1, b"t"))), id="tag"),
        pytest.param(KEY + field(4, 300) + ONE + field(99, b"unknown"), id="unknown number and bytes"),
        pytest.param(KEY + b"\x25abcd" + ONE + b"\x21abcdefgh", id="unknown fixed32 and fixed64"),
        pytest.param(KEY + b"\x23\x08\x01\x2b\x2c\x24" + ONE, id="unknown group in a group"),
        pytest.param(KEY + record(field(1, 0), field(3, b"data"), field(7, 1), b"\x2b\x2c"), id="unknown inside"),
        pytest.param(KEY + record(field(1, 0), field(3, b"data"), field(5, 1)), id="the lowest unknown number inside"),
        pytest.param(
            KEY + record(field(1, 0), field(3, b"data"), field(4, field(1, b"t") + field(3, 7))), id="unknown in a tag"
        ),
        pytest.param(KEY + field(5, field(1, 0) + field(3, b"data")) + ONE, id="an unknown field like a record"),
        pytest.param(KEY + ONE + varint((2**29 - 1) << 3) + b"\x01", id="the highest field number"),
        pytest.param(KEY + b"\x23\x0dabcd\x24" + ONE, id="fixed32 in a group"),
        pytest.param(KEY + ONE + field(9, 2**64 - 1), id="an unknown number of 64 bits"),
        pytest.param(KEY + b"\x23" * 5000 + b"\x24" * 5000 + ONE, id="groups 5,000 deep"),
    ],
)
def test_is_read_as_protobuf_readers_read_it(body: bytes) -> None:
    assert unpack(sealed(body)) == FOUND


def test_an_aggregate_inside_an_aggregate_is_neither_read_nor_packed() -> None:
    inner = pack(FOUND)
    with pytest.raises(CorruptAggregate, match="inside"):
        unpack(sealed(KEY + ONE + record(field(1, 0), field(3, inner))))
    with pytest.raises(ValueError, match="inside"):
        pack([*FOUND, UserRecord("a", inner)])


def test_the_magic_elsewhere_in_data_is_just_data() -> None:
    records = [UserRecord("a", b"{" + MAGIC)]
    assert unpack(pack(records)) == records


@pytest.mark.parametrize("data", [b"", MAGIC[:3], b'{"id":"1"}', b"\x00" * 100])
def test_other_bytes_are_no_aggregate(data: bytes) -> None:
    assert not is_aggregate(data)
    with pytest.raises(CorruptAggregate, match="magic"):
        unpack(data)


def test_a_wrong_md5_is_refused_where_aws_kinesis_agg_hands_on_the_aggregate() -> None:
    packed = pack(FOUND)
    broken = packed[:-1] + bytes([packed[-1] ^ 1])
    event = {"kinesis": {"data": base64.b64encode(broken)}}
    assert deaggregator.deaggregate_records([event]) == [event]
    with pytest.raises(CorruptAggregate, match="MD5"):
        unpack(broken)


def test_a_bad_index_is_refused_where_aws_kinesis_agg_loses_records(
    capsys: pytest.CaptureFixture[str],
) -> None:
    packed = sealed(KEY + ONE + record(field(1, 5), field(3, b"x")) + ONE)
    assert read_by_theirs(packed) == [("a", b"data")]
    assert "ERROR" in capsys.readouterr().err
    with pytest.raises(CorruptAggregate):
        unpack(packed)


def test_empty_bytes_is_the_size_of_nothing() -> None:
    assert Aggregate().size == EMPTY_BYTES == 20


@pytest.mark.parametrize("size", [126, 127, 128, 16_383, 16_384])
def test_lengths_are_written_as_short_as_they_can_be(size: int) -> None:
    """As protobuf writes them: a reader may compare bytes."""
    record = UserRecord("k" * min(size, 256), b"x" * size)
    assert pack([record]) == theirs([record])


def test_aggregates_are_made_and_read_where_md5_is_not_for_security(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a policy of FIPS 140, where MD5 is to be had for checksums alone."""

    def restricted(data: bytes = b"", *, usedforsecurity: bool = True) -> Any:
        if usedforsecurity:
            raise ValueError("[digital envelope routines] unsupported")
        return md5(data, usedforsecurity=False)

    monkeypatch.setattr("tidemill.contract.aggregation.reading.md5", restricted)
    monkeypatch.setattr("tidemill.contract.aggregation.writing.md5", restricted)
    assert [one.data for one in unpack(pack([UserRecord("k", b"{}")]))] == [b"{}"]
    with pytest.raises(CorruptAggregate, match="MD5"):
        unpack(pack([UserRecord("k", b"{}")])[:-1] + b"?")
