"""The quarantine: what could never be applied lies there whole, once, under its place in the stream."""

import json
import logging
from base64 import b64decode
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from tidemill.request import Request, encode
from tidemill_consumers.core.batch import Arrival, Position, Quarantined, Unreadable
from tidemill_consumers.shell.quarantine import Quarantine, object_key
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]
Clients: TypeAlias = Callable[[str], Any]

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
    at = Arrival("shardId-000000000006", Position(sequence, sub), arrived, "content/1", request, encode(request))
    return Quarantined(at, "unknown command content.explode")


def rubbish() -> Quarantined:
    at = Unreadable("shardId-000000000006", Position(7, 0), 1545084650.987, "\N{WATER WAVE}", b"\xff\x00", "malformed")
    return Quarantined(at, at.reason)


def test_a_request_lies_there_whole(quarantine: Quarantine, stored: Callable[[], dict[str, Any]]) -> None:
    one = poison(sub=3)
    assert quarantine.store([one]) == ()
    ((key, found),) = stored().items()
    assert key == f"quarantine/dt=2018-12-17/shardId-000000000006/{SEQUENCE}-3.json"
    assert b64decode(found.pop("payload")) == one.arrival.payload
    assert found == {
        "reason": "unknown command content.explode",
        "id": "i",
        "cmd": "content.explode",
        "key": "content/1",
        "shard": "shardId-000000000006",
        "sequence": str(SEQUENCE),
        "sub": 3,
        "arrived": 1545084650.987,
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
    with caplog.at_level(logging.WARNING):
        assert Quarantine(s3, bucket).store([poison(), rubbish(), poison(sub=1)]) == (rubbish(),)
    assert set(stored()) == {object_key(poison()), object_key(poison(sub=1))}
    assert f"cannot quarantine {object_key(rubbish())}" in caplog.text


def test_a_refusal_of_s3_is_told(stub: Stub) -> None:
    s3, answers = stub("s3")
    answers.add_client_error("put_object", "SlowDown")
    answers.add_response("put_object", {})
    assert Quarantine(s3, "quarantine").store([rubbish(), poison()]) == (rubbish(),)
