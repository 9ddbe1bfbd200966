"""The quarantine: what could never be applied lies there whole, once, under its place in the stream."""

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from tidemill.contract.request import MAX_REQUEST_BYTES, RefusedRequest, Request, encode
from tidemill_consumers.adapters.quarantine import Quarantine, body, object_key, read, redriven
from tidemill_consumers.codec.parts import Part
from tidemill_consumers.core.batch import Arrival, Position, Quarantined, Unreadable
from tidemill_consumers.core.streams import NAME_CHARACTERS
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]
Clients: TypeAlias = Callable[[str], Any]

SHARD = "nXuWoVu5zZs/shardId-000000000006"
SEQUENCE = 49590338271490256608559692538361571095921575989136588898


@pytest.fixture
def quarantine(emulator: Emulator, bucket: str) -> Quarantine:
    return Quarantine(emulator.client("s3"), bucket)


@pytest.fixture
def stored(emulator: Emulator, bucket: str) -> Callable[[], dict[str, Any]]:
    """All that lies in the bucket, by key."""
    s3 = emulator.client("s3")

    def read() -> dict[str, Any]:
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: json.load(s3.get_object(Bucket=bucket, Key=key)["Body"]) for key in keys}

    return read


def poison(sequence: int = SEQUENCE, sub: int = 0, arrived: float = 1545084650.987) -> Quarantined:
    request = Request(id="i", cmd="content.explode", key="content/1", client="c", data={"title": "Ebb & flow"})
    place, payload = Position(sequence, sub), encode(request)
    at = Arrival(SHARD, place, arrived, "content/1", request, payload, None, "requests")
    return Quarantined(at, "unknown command content.explode")


def rubbish() -> Quarantined:
    at = Unreadable(SHARD, Position(7, 0), 1545084650.987, "\N{WATER WAVE}", b"\xff\x00", "malformed")
    return Quarantined(at, at.reason)


def test_a_request_lies_there_whole(quarantine: Quarantine, stored: Callable[[], dict[str, Any]]) -> None:
    one = poison(sub=3)
    assert quarantine.store([one]) == ()
    ((key, found),) = stored().items()
    assert key == f"quarantine/dt=2018-12-17/{SHARD}/{SEQUENCE}-3.json"
    assert b64decode(found.pop("payload")) == one.arrival.payload
    assert found == {
        "reason": "unknown command content.explode",
        "id": "i",
        "cmd": "content.explode",
        "key": "content/1",
        "shard": SHARD,
        "sequence": str(SEQUENCE),
        "sub": 3,
        "arrived": 1545084650.987,
        "stream": "requests",
    }


def test_bytes_that_are_no_request_lie_there_too(quarantine: Quarantine, stored: Callable[[], dict[str, Any]]) -> None:
    assert quarantine.store([rubbish()]) == ()
    (found,) = stored().values()
    assert b64decode(found["payload"]) == b"\xff\x00"
    assert (found["id"], found["cmd"], found["key"], found["reason"]) == (None, None, "\N{WATER WAVE}", "malformed")


def test_each_has_a_place_of_its_own_and_takes_it_again(
    quarantine: Quarantine, stored: Callable[[], dict[str, Any]]
) -> None:
    several = [poison(), poison(sub=1), poison(SEQUENCE + 1), rubbish()]
    quarantine.store(several)
    first = stored()
    assert set(first) == {object_key(one) for one in several}
    assert len(first) == 4
    quarantine.store(several)
    assert stored() == first


def test_the_day_is_that_of_utc() -> None:
    assert "/dt=2018-12-17/" in object_key(poison(arrived=1545091199.9))
    assert "/dt=2018-12-18/" in object_key(poison(arrived=1545091200.0))


def test_an_object_says_that_it_is_json(quarantine: Quarantine, emulator: Emulator, bucket: str) -> None:
    quarantine.store([poison()])
    head = emulator.client("s3").head_object(Bucket=bucket, Key=object_key(poison()))
    assert head["ContentType"] == "application/json"


def test_those_that_could_not_be_stored_are_told(
    bucket: str,
    new_client: Clients,
    stored: Callable[[], dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(params: dict[str, Any], **_: object) -> None:
        if "/7-0.json" in params["url"]:
            raise EndpointConnectionError(endpoint_url="somewhere")

    s3 = new_client("s3")
    s3.meta.events.register("before-call.s3.PutObject", refuse)
    quarantine = Quarantine(s3, bucket)
    with caplog.at_level(logging.WARNING):
        assert quarantine.store([poison(), rubbish(), poison(sub=1)]) == (rubbish(),)
    assert quarantine.count == 2
    assert caplog.messages[-1].startswith("quarantined 2 requests, the first (content.explode, id i, key content/1): ")
    assert sum(one.startswith("quarantined") for one in caplog.messages) == 1
    assert set(stored()) == {object_key(poison()), object_key(poison(sub=1))}
    assert f"cannot quarantine {object_key(rubbish())}" in caplog.text


def test_a_refusal_of_s3_is_told(stub: Stub) -> None:
    s3, answers = stub("s3")
    answers.add_client_error("put_object", "SlowDown")
    answers.add_response("put_object", {"ETag": "e"})
    assert Quarantine(s3, "quarantine", map).store([rubbish(), poison()]) == (rubbish(),)


# ── Read back ────────────────────────────────────────────────────────────────────────────────────────────────


def kept_as(payload: bytes, key: str = "content/1", reason: str = "no request") -> Quarantined:
    return Quarantined(Unreadable(SHARD, Position(7, 2), 1545084650.5, key, payload, reason), reason)


def test_what_is_read_back_is_what_was_kept() -> None:
    one = poison(sub=3)
    kept = read(body(one))
    assert (kept.reason, kept.id, kept.cmd, kept.key) == (one.reason, "i", "content.explode", "content/1")
    assert (kept.shard, kept.position) == (one.arrival.shard, one.arrival.position)
    assert (kept.arrived, kept.payload) == (one.arrival.arrived, one.arrival.payload)


def parts(*subs: int, sequence: int = 7) -> list[Quarantined]:
    """Of one record: each has the first key or the second, and its own bytes."""
    reasons = "not UTF-8", "misrouted"
    every = [
        Unreadable(SHARD, Position(sequence, sub), 1545084650.5, f"k{sub % 2}", b"\xff%d" % sub, reason)
        for sub in subs
        for reason in [reasons[sub % 2]]
    ]
    return [Quarantined(one, one.reason) for one in every]


def test_a_records_parts_that_are_no_requests_lie_there_together(
    quarantine: Quarantine, stored: Callable[[], dict[str, Any]]
) -> None:
    assert quarantine.store([*parts(2, 3, 9), poison(7, sub=4), *parts(0, sequence=8)]) == ()
    found = stored()
    day = f"quarantine/dt=2018-12-17/{SHARD}"
    assert set(found) == {f"{day}/7-2.json", f"{day}/7-4.json", f"{day}/8-0.json"}
    assert found[f"{day}/7-2.json"] == {
        "reason": "3 parts that are no requests: not UTF-8; misrouted",
        "id": None,
        "cmd": None,
        "key": "k0",
        "shard": SHARD,
        "sequence": "7",
        "sub": 2,
        "arrived": 1545084650.5,
        "stream": "",
        "payload": "",
        "parts": {
            "sub": [2, 3, 9],
            "keys": ["k0", "k1"],
            "key": [0, 1, 1],
            "reasons": ["not UTF-8", "misrouted"],
            "reason": [0, 1, 1],
            "payload": [b64encode(b"\xff%d" % sub).decode() for sub in (2, 3, 9)],
        },
    }
    assert "parts" not in found[f"{day}/8-0.json"], "one part alone is kept as ever"


def test_parts_are_read_back_whole_and_are_no_request() -> None:
    several = parts(2, 3)
    kept = read(body(*several))
    assert kept.all_parts == (
        Part(2, "k0", "not UTF-8", b"\xff2"),
        Part(3, "k1", "misrouted", b"\xff3"),
    )
    with pytest.raises(RefusedRequest, match="no request: 2 parts"):
        redriven(kept)
    assert read(body(several[0])).all_parts == (Part(2, "k0", "not UTF-8", b"\xff2"),)


def test_as_many_parts_as_a_record_holds_are_little_more_than_the_record() -> None:
    wave, reason = "\N{WATER WAVE}" * 256, "x" * 200
    every = [Unreadable("s", Position(7, sub), 1.0, wave, b"", reason) for sub in range(174_747)]
    assert len(body(*[Quarantined(one, one.reason) for one in every])) < 3 * 1024 * 1024


def test_parts_that_could_not_be_stored_are_told_each(stub: Stub) -> None:
    s3, answers = stub("s3")
    answers.add_client_error("put_object", "SlowDown")
    answers.add_response("put_object", {"ETag": "e"})
    several = parts(2, 3)
    assert Quarantine(s3, "quarantine", map).store([*several, poison()]) == tuple(several)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 9999,
        body(poison()).replace(b'"sequence":"', b'"sequence":"x'),
        body(*parts(2, 3)).replace(b'"key":[0,1]', b'"key":[0,7]'),
        body(*parts(2, 3)).replace(b'"key":[0,1]', b'"key":[0]'),
    ],
)
def test_what_the_quarantine_did_not_write_is_refused(stored: bytes) -> None:
    with pytest.raises(RefusedRequest, match="not an object of the quarantine"):
        read(stored)


def test_a_request_is_put_back_under_its_place_in_the_stream() -> None:
    request = redriven(read(body(poison(sub=3))))
    assert request == Request(
        id="i",
        cmd="content.explode",
        key="content/1",
        client="c",
        writer=f"redrive/{SHARD}-{SEQUENCE}-3",
        counter=1,
        data={"title": "Ebb & flow"},
    )


def test_an_event_is_put_back_as_the_request_that_it_became() -> None:
    request = redriven(read(body(kept_as(b"hello"))))
    assert (request.cmd, request.id, request.data) == ("event.track", f"{SHARD}-7-2", {"text": "hello"})


def test_an_object_from_before_shards_were_known_by_their_stream_is_put_back_as_it_was_then() -> None:
    """So that doing so before and after is a repeat."""
    stored = body(poison(sub=3)).replace(b',"stream":"requests"', b"").replace(SHARD.encode(), b"shardId-000000000006")
    kept = read(stored)
    assert (kept.shard, kept.stream) == ("shardId-000000000006", "")
    assert redriven(kept).writer == f"redrive/shardId-000000000006-{SEQUENCE}-3"


def test_a_redriven_request_s_writer_has_room_for_the_longest_place() -> None:
    """The contract allows a writer 128 characters."""
    shard = f"{'_' * NAME_CHARACTERS}/shardId-{'9' * 12}"
    at = Unreadable(shard, Position(10**57 - 1, 10**6 - 1), 0.0, "k", b"x", "no")
    assert len(redriven(read(body(Quarantined(at, at.reason)))).writer or "") <= 128


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (kept_as(b"\xff\x00", reason="not UTF-8"), "no request: not UTF-8"),
        (kept_as(bytes([0xF3, 0x89, 0x9A, 0xC2, 1]), reason="corrupt aggregate: short"), "corrupt aggregate: short"),
        (kept_as(b'{"v":1,"id":"i","cmd":"c","key":"other","data":{}}', reason="misrouted: …"), "misrouted"),
        (kept_as(b"x" * (MAX_REQUEST_BYTES - 10)), "may have"),
    ],
    ids=["bytes", "corrupt aggregate", "misrouted", "too long as a request"],
)
def test_what_cannot_be_put_back_says_why(one: Quarantined, problem: str) -> None:
    with pytest.raises(RefusedRequest, match=problem):
        redriven(read(body(one)))
