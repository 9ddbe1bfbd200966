"""Frames: what was written is read, and nothing else, whatever becomes of the bytes."""

import struct
from itertools import pairwise
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.spool.frames import (
    ATTEMPTED,
    FORMAT,
    HEAD,
    OVERHEAD,
    REQUEST,
    SETTLED,
    TITLE,
    Frame,
    Gap,
    Head,
    attempted_in,
    frame_at,
    read,
    settled_in,
    to_attempted,
    to_frame,
    to_head,
    to_opening,
    to_settled,
)

COUNTS = st.integers(0, 2**63)
CONTENTS = st.lists(st.tuples(st.sampled_from((REQUEST, SETTLED)), COUNTS, COUNTS, st.binary(max_size=40)), max_size=5)
SEED = 7


def segment(*contents: tuple[int, int, int, bytes]) -> bytes:
    return to_opening(5, 6, "writer", SEED) + b"".join(to_frame(*content, SEED) for content in contents)


@given(CONTENTS)
def test_what_is_written_is_read(contents: list[tuple[int, int, int, bytes]]) -> None:
    data = segment(*contents)
    head, *frames = [found for found in read(data, SEED) if isinstance(found, Frame)]
    assert (head.kind, head.number, head.counter, to_head(head.payload)) == (HEAD, 5, 6, Head(2, "writer"))
    assert [frame[:4] for frame in frames] == contents
    assert all(frame.end - frame.start == OVERHEAD + len(frame.payload) for frame in frames)
    assert all(before.end == after.start for before, after in pairwise([head, *frames]))
    assert [head, *frames][-1].end == len(data)


@given(CONTENTS, st.data())
def test_gaps_and_frames_cover_all_of_a_damaged_segment(
    contents: list[tuple[int, int, int, bytes]], data: st.DataObject
) -> None:
    whole = bytearray(segment(*contents))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    title = len(TITLE) if whole.startswith(TITLE) else 0
    found = list(read(bytes(whole), SEED))
    assert found[0].start == title
    assert found[-1].end == len(whole)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert sum(isinstance(one, Gap) for one in found) == 1
    assert {one[:4] for one in found if isinstance(one, Frame) and one.kind != HEAD} <= set(contents)


def test_a_frame_of_another_segment_is_not_taken_for_one() -> None:
    copied = to_frame(REQUEST, 9, 9, b"copied", SEED + 1)
    data = bytearray(segment((REQUEST, 1, 1, b"before" + copied), (REQUEST, 2, 2, b"after")))
    data[data.index(b"before")] ^= 1
    assert [one.payload for one in read(bytes(data), SEED) if isinstance(one, Frame)][1:] == [b"after"]


@given(st.integers(1, 200))
def test_a_cut_off_end_is_torn_and_a_corrupt_one_is_not(kept: int) -> None:
    whole = segment((REQUEST, 1, 1, b"one"), (REQUEST, 2, 2, b"x" * 174))
    last = to_frame(REQUEST, 2, 2, b"x" * 174, SEED)
    start = len(whole) - len(last)
    assert list(read(whole[: start + kept], SEED))[-1] == Gap(start, start + kept, is_torn=True)
    assert list(read(whole[:start] + bytes(kept), SEED))[-1] == Gap(start, start + kept, is_torn=True)
    assert list(read(whole[:-1] + b"y", SEED))[-1] == Gap(start, len(whole), is_torn=False)


@pytest.mark.parametrize("byte", range(OVERHEAD))
def test_what_lies_before_a_whole_frame_is_not_torn(byte: int) -> None:
    """Whatever byte of a frame's head is damaged, its length too, which then reaches beyond the end."""
    begun, damaged, last = segment(), to_frame(REQUEST, 1, 1, b"one", SEED), to_frame(REQUEST, 2, 2, b"two", SEED)
    data = bytearray(begun + damaged + last)
    data[len(begun) + byte] ^= 0xFF
    gap, frame = list(read(bytes(data), SEED))[1:]
    assert gap == Gap(len(begun), len(begun + damaged), is_torn=False)
    assert frame == Frame(REQUEST, 2, 2, b"two", len(begun + damaged), len(data))


EMPTY = to_frame(REQUEST, 1, 1, b"", SEED)
LONG = to_frame(REQUEST, 1, 1, b"x" * 50, SEED)


@pytest.mark.parametrize(
    ("end", "is_torn"),
    [
        (b"\xf5", True),
        (b"\xf5\xa7", True),
        (EMPTY[:-1], True),
        (LONG[:-1], True),
        (b"\0", True),
        (b"x", False),
        (b"\xf5x", False),
        (b"\0\0x", False),
        (b"x" * OVERHEAD, False),
        (b"xx" + LONG[2:-1], False),
        (EMPTY[:2] + b"????" + EMPTY[6:], False),
        (LONG[:2] + b"????" + LONG[6:], False),
    ],
)
def test_only_a_frames_beginning_and_zeros_are_torn(end: bytes, is_torn: bool) -> None:
    begun = segment()
    assert list(read(begun + end, SEED))[1:] == [Gap(len(begun), len(begun + end), is_torn)]


@pytest.mark.parametrize("foreign", [b"x", b"\xf5", b"\xf5\xa7", b"xx"])
def test_a_frame_is_found_right_behind_foreign_bytes(foreign: bytes) -> None:
    begun = segment()
    gap, frame = list(read(begun + foreign + LONG, SEED))[1:]
    assert gap == Gap(len(begun), len(begun + foreign), is_torn=False)
    assert isinstance(frame, Frame)
    assert frame.payload == b"x" * 50


def test_a_segment_that_was_just_begun_is_torn() -> None:
    opening = to_opening(5, 6, "writer", SEED)
    for kept in range(1, len(opening)):
        start = len(TITLE) if kept >= len(TITLE) else 0
        torn = [Gap(start, kept, is_torn=True)] if kept > start else []
        assert list(read(opening[:kept], SEED)) == torn


@given(st.sets(st.integers(1, 2**63)))
def test_numbers_are_named_whatever_they_are(numbers: set[int]) -> None:
    assert list(settled_in(to_settled(numbers))) == sorted(numbers)


@pytest.mark.parametrize("content", [["1"], [None], {"1": 1}, 1])
def test_a_payload_of_something_else_names_no_numbers(content: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        list(settled_in(msgspec.msgpack.encode(content)))


def test_neighbours_take_a_byte_each() -> None:
    assert len(to_settled(range(1_000_000, 1_001_000))) < 1_100
    assert len(to_attempted(dict.fromkeys(range(1_000_000, 1_001_000), 1_764_360_000_000))) < 1_100


@given(st.dictionaries(st.integers(0, 2**63), st.integers(0, 2**63 - 1)))
def test_attempts_are_read_as_they_were_written(tried: dict[int, int]) -> None:
    assert dict(attempted_in(to_attempted(tried))) == tried


def test_a_note_of_attempts_is_the_same_for_ever() -> None:
    assert dict(attempted_in(bytes.fromhex("9192cf0000019acc0d1200c403920301"))) == dict.fromkeys((3, 4), 1764360000000)


@pytest.mark.parametrize("content", [[1], [[1]], [["1", b""]], [[1, "x"]], {"1": 1}, 1])
def test_a_payload_of_something_else_names_no_attempts(content: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        list(attempted_in(msgspec.msgpack.encode(content)))


@pytest.mark.parametrize("kind", [0, 1, 3, 4, 5, 255])
def test_a_frame_of_no_known_kind_is_none(kind: int) -> None:
    found = frame_at(to_frame(kind, 1, 2, b"x", 7), 0, 7)
    assert (found is not None) == (HEAD <= kind <= ATTEMPTED)


def test_a_frame_that_says_it_is_longer_than_its_segment_is_none_whatever_its_checksum_says() -> None:
    checked = struct.pack("<BIQQ", REQUEST, 6, 1, 2) + b"short"
    cut = b"\xf5\xa7" + struct.pack("<I", crc32(checked, SEED)) + checked
    assert frame_at(cut, 0, SEED) is None
    assert list(read(cut, SEED)) == [Gap(0, len(cut), is_torn=True)]


def test_a_frame_is_the_same_for_ever() -> None:
    """What lay in a spool before an update is read after it."""
    written = bytes.fromhex("f5a778fc89c00202000000030000000000000007000000000000007b7d")
    assert to_frame(REQUEST, 3, 7, b"{}", 9) == written
    assert frame_at(written, 0, 9) is not None
    assert (FORMAT, TITLE, OVERHEAD) == (2, b"tidemill spool\n", 27)
    assert (HEAD, REQUEST, SETTLED, ATTEMPTED) == (1, 2, 3, 4)
