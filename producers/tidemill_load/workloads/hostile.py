"""Records that nobody should send and somebody will: the load test proves that none of them stops a shard.

Room: load. Pure: the same seed gives the same records.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal, TypeAlias

from tidemill.contract.aggregation import UserRecord, pack

if TYPE_CHECKING:
    from tidemill.contract.request import Json

Fate: TypeAlias = Literal["accepted", "quarantined"]


@dataclass(frozen=True, slots=True)
class HostileRecord:
    """One Kinesis record and what must become of it.

    Attributes:
        name: what is wrong with it, in two or three words.
        partition_key: the record's partition key.
        data: the record's bytes.
        fate: "accepted" as an `event.track`, or "quarantined" whole.
    """

    name: str
    partition_key: str
    data: bytes
    fate: Fate


def hostile_records(seed: int) -> list[HostileRecord]:
    """One record of each kind; the seed chooses ids and keys, so that two seeds never share one."""
    random = Random(seed)
    made = (*_refused(random), *_foreign(), _corrupt_aggregate(random))
    records = [HostileRecord(name, f"hostile/{random.getrandbits(64):016x}", data, fate) for name, data, fate in made]
    return [*records, _misrouted(random)]


_Made: TypeAlias = tuple[str, bytes, Fate]


def _refused(random: Random) -> tuple[_Made, ...]:
    """Bytes that claim to be a request or JSON and are not."""
    whole = _request(random, "content.view")
    return (
        ("truncated object", whole[: len(whole) // 2], "quarantined"),
        ("unknown command", _request(random, "content.explode"), "quarantined"),
        ("not a number", _request(random, "content.view", seconds=float("nan")), "quarantined"),
        ("duplicate keys", whole.replace(b'"cmd":', b'"cmd":"content.delete","cmd":', 1), "quarantined"),
        (
            "not UTF-8",
            b"caf\xe9 \xff\xfe \x80 " + random.randbytes(24).replace(b"\n", b"\x80"),
            "quarantined",
        ),
    )


def _foreign() -> tuple[_Made, ...]:
    """Records as mobile SDKs put them on a stream, without knowing the contract."""
    event = {"name": "pageView", "attributes": {"url": "/gallery", "title": "Tide"}}
    return (
        ("object without a command", json.dumps(event).encode(), "accepted"),
        ("quoted string", b'"session started"', "accepted"),
        ("plain text", "caf\u00e9 opened at 09:30".encode(), "accepted"),
    )


def _corrupt_aggregate(random: Random) -> _Made:
    """A KPL aggregate with one bit flipped between its magic and its checksum."""
    key = f"content/{random.randrange(10**9)}"
    data = bytearray(pack([UserRecord(key, _request(random, "content.view")) for _ in range(3)]))
    data[len(data) // 2] ^= 1
    return "corrupt aggregate", bytes(data), "quarantined"


def _misrouted(random: Random) -> HostileRecord:
    """A request whose key is not the one it was sent under: its order among that key's requests is lost."""
    number = random.randrange(10**9)
    data = _request(random, "content.view", key=f"content/{number}")
    return HostileRecord("key and partition key disagree", f"content/{number + 1}", data, "quarantined")


def _request(random: Random, cmd: str, key: str | None = None, **data: Json) -> bytes:
    fields = {"v": 1, "id": f"hostile-{random.getrandbits(128):032x}", "cmd": cmd, "key": key, "data": data}
    given = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(given, separators=(",", ":")).encode()
