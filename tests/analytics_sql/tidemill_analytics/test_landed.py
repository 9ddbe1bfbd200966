"""Where a landed object's records end, whatever they are and whoever put it there."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.contract.attempts import MAX_TRIED, marked
from tidemill.contract.request import GZIP_MAGIC, MAX_REQUEST_BYTES, Request, decode
from tidemill_analytics.landed import Unpacked, records, unpack

BOM = b"\xef\xbb\xbf"


def line(number: int, **data: object) -> bytes:
    fields = {"v": 1, "id": f"r{number}", "cmd": "a.b", "key": "k", "data": data}
    return json.dumps(fields, separators=(",", ":")).encode()


def indented(number: int, **data: object) -> bytes:
    return json.dumps(json.loads(line(number, **data)), indent=2).encode()


def read(content: bytes) -> list[str | bytes]:
    """The ids of the requests, and the bytes of what is none, in their order."""
    return [found.id if isinstance(found, Request) else record for record, found in records(content)]


TWO = line(1) + b"\n" + line(2) + b"\n"
PACKED = gzip.compress(bytes(range(256)) * 9 + b"\n\n", compresslevel=0, mtime=0)
assert b"\n" in PACKED


def gzipped(content: bytes) -> bytes:
    """With gzip, without the time: a test's name holds the bytes, and all that run tests must agree on it."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("packed", "unpacked"),
    [
        (TWO, Unpacked(TWO)),
        (b"", Unpacked(b"")),
        (BOM + TWO, Unpacked(TWO)),
        (gzipped(TWO), Unpacked(TWO)),
        (gzipped(BOM + TWO), Unpacked(TWO)),
        (gzipped(line(1) + b"\n") + gzipped(BOM + line(2) + b"\n"), Unpacked(TWO)),
        (gzipped(TWO) + b"\0" * 512, Unpacked(TWO)),
        (gzipped(TWO) + b"rubbish", Unpacked(TWO, "7 bytes behind its compressed ones")),
        (gzipped(gzipped(TWO)), Unpacked(TWO)),
        # Its first record is compressed: what stands behind that is no rubbish.
        (gzipped(gzipped(b"log") + b"\n" + TWO), Unpacked(gzipped(b"log") + b"\n" + TWO)),
        (gzipped(TWO)[:-1], Unpacked(TWO, "it ends too early")),
        (gzipped(TWO + b"torn")[:-1], Unpacked(TWO, "it ends too early", b"torn")),
        (
            gzipped(TWO)[:-8] + b"\0" * 8,
            Unpacked(b"", "Error -3 while decompressing data: incorrect data check"),
        ),
        (gzipped(TWO) + GZIP_MAGIC, Unpacked(TWO, "it ends too early")),
    ],
)
def test_an_object_is_unpacked_as_far_as_it_goes(packed: bytes, unpacked: Unpacked) -> None:
    assert unpack(packed) == unpacked


def test_damage_costs_no_line_that_stands_well_before_it() -> None:
    packed = bytearray(gzip.compress(b"".join(line(n) + b"\n" for n in range(20_000)), compresslevel=1))
    packed[-40_000:] = b"\xff" * 40_000
    found = unpack(bytes(packed))
    assert found.damage
    ids = read(found.content)  # what is unpacked around the damage may differ
    assert len(ids) > 3_000
    assert ids[:3_000] == [f"r{n}" for n in range(3_000)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (TWO, ["r1", "r2"]),
        (TWO[:-1], ["r1", "r2"]),
        (b"", []),
        (b"\n \n\r\n\t", []),
        (TWO.replace(b"\n", b"\r\n"), ["r1", "r2"]),
        (TWO.replace(b"\n", b"\n\n"), ["r1", "r2"]),
        (line(1) + line(2), ["r1", "r2"]),
        (line(1) + b" " + line(2) + b" \r\n" + line(3), ["r1", "r2", "r3"]),
        (indented(1, a=[1, 2]) + b"\n" + indented(2, b={"c": "}\n{"}) + b"\n", ["r1", "r2"]),
        (indented(1) + line(2) + b"\n" + line(3), ["r1", "r2", "r3"]),
        (indented(1) + indented(2), ["r1", "r2"]),
        (b"".join(indented(n, a=list(range(500))) + b"\n" for n in range(20)), [f"r{n}" for n in range(20)]),
        (b"  " + indented(1), ["r1"]),
        (b"{\n" + indented(1) + b"\n" + line(2), [b"{", "r1", "r2"]),
        (indented(1)[:-1] + b"\n" + line(2), [*indented(1)[:-2].split(b"\n"), "r2"]),
        (b'{"name":"tap"}\n' + line(1), [b'{"name":"tap"}', "r1"]),
        (b'{"name":"tap"}{"name":"tip"}\n', [b'{"name":"tap"}', b'{"name":"tip"}']),
        (b'{\n"name":"tap"\n}\n' + line(1), [b'{\n"name":"tap"\n}', "r1"]),
        (line(1) + b"rubbish\n" + line(2), [line(1) + b"rubbish", "r2"]),
        (line(1) + line(2)[:-1] + b"\n" + line(3), [line(1) + line(2)[:-1], "r3"]),
        (b"[\n" + line(1) + b"\n]", [b"[", "r1", b"]"]),
        (b'{"a":"\xff\xfe\n"}\n' + line(1), [b'{"a":"\xff\xfe', b'"}', "r1"]),
        (indented(1, text="\u00e4\U0001f600") + b"\n" + indented(2), ["r1", "r2"]),
        (b'{"n":1' + b"0" * 5000 + b"}\n" + line(1), [b'{"n":1' + b"0" * 5000 + b"}", "r1"]),
        (b'{"a":' * 9000 + b"\n" + line(1), [b'{"a":' * 9000, "r1"]),
        (PACKED + b"\n" + line(1) + b"\n" + PACKED, [PACKED, "r1", PACKED]),
        (PACKED[:-1] + b"\n" + line(1), [*PACKED[:-1].split(b"\n"), "r1"]),
        (PACKED + b"x\n" + line(1), [*(PACKED + b"x").split(b"\n"), "r1"]),
    ],
)
def test_a_record_ends_where_it_ends(content: bytes, found: list[str | bytes]) -> None:
    assert read(content) == [one for one in found if not isinstance(one, bytes) or one.strip()]


def test_a_request_that_was_put_again_is_the_one_that_was_put_first() -> None:
    """Whether its mark stands before it or in it, and however large it is."""
    largest = line(1, text="")
    largest = line(1, text="x" * (MAX_REQUEST_BYTES - len(largest)))
    ((_, first), (_, again)) = records(largest + b"\n" + marked(largest, MAX_TRIED) + b"\n")
    assert first == again == decode(largest)
    stated = line(2)[:-1] + b',"tried":7}'
    assert read(marked(stated, 9) + b"\n" + stated) == ["r2", "r2"]


def test_a_compressed_record_is_refused_for_that() -> None:
    ((_, why),) = records(PACKED)
    assert "compressed with gzip" in str(why)


@pytest.mark.parametrize("hostile", [b'{"a":\n', b"{\n", b'{"a":[\n', b'{"a":[1,1,1,1,1,1,1,1\n', GZIP_MAGIC + b"\n"])
def test_hostile_lines_take_no_more_time_than_others(hostile: bytes) -> None:
    content = hostile * ((1 << 16) // len(hostile))  # far longer, if each line looked at all that follow it
    assert len(read(content + line(1))) == content.count(b"\n") + 1


requests = st.builds(
    line, st.integers(0, 99), text=st.text(max_size=9), more=st.recursive(st.integers(), st.lists, max_leaves=9)
)
shapes = st.sampled_from((bytes, lambda one: json.dumps(json.loads(one), indent=1, ensure_ascii=False).encode()))


@settings(max_examples=40)
@given(st.lists(st.tuples(requests, shapes, st.sampled_from((b"", b"\n", b"\n\n", b"\r\n", b" \n")))))
def test_every_request_is_found_however_it_is_written(written: list[tuple[bytes, object, bytes]]) -> None:
    content = b"".join(shape(one) + behind for one, shape, behind in written)  # type: ignore[operator]  # see shapes
    assert read(content) == [json.loads(one)["id"] for one, _, _ in written]
