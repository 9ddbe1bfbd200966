"""Requests whose data was uploaded, in the simulated world: what lies in the content bucket, and what is wrong with it.

An oracle knows by the request's id which data its sender uploaded for it, and so needs none of the consumer's rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO
from typing import Any

import msgspec
from botocore.exceptions import ReadTimeoutError

from tests.simulation.clients import Client
from tests.simulation.services import Topic
from tests.simulation.world import World, error
from tidemill.contract.places import upload_name
from tidemill.contract.request import ClaimCheck, Document

SHARES = (0.04, 0.3)
"""Of requests that refer to an upload, in seeds that have any."""

WRONG = 0.3
"""Share of those whose upload is none that they may have."""

AGAIN = 0.2
"""Share of the others whose data is what their client uploaded before."""

EXPIRES = 0.5
"""Share of uploads that are gone once their request is answered, so that copies of it find none."""

LOOK_SECONDS = 0.5


class Uploads:
    """S3, as GetObject of the content bucket, and the clients' uploads."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._objects: dict[str, bytes] = {}
        self._kept: dict[str, tuple[ClaimCheck, Document]] = {}
        """Each client's upload that does not expire."""
        self.data: dict[str, Document] = {}
        """Request id -> the data that was uploaded for it. Other requests with a `ref` have none that rules may see."""

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        world = self._world

        def act() -> dict[str, Any]:
            if Key not in self._objects:
                raise error("NoSuchKey")
            found = self._objects[Key]
            body = _Broken(found) if world.strikes("upload broke off", 0.2) else BytesIO(found)
            return {"Body": body, "ContentLength": len(found), "ETag": '"e"'}

        answer: dict[str, Any] = world.call("upload", act)
        return answer

    def send(self, client: Client, others: Sequence[Client], topic: Topic, cmd: str, key: str, data: Document) -> str:
        """Upload data and have a client send a request that refers to it; its id."""
        chance = self._world.random
        if chance.random() < WRONG:
            return self._send_wrong(client, chance.choice(others), cmd, key, data)
        if client.id in self._kept and chance.random() < AGAIN:
            ref, data = self._kept[client.id]
            sent = client.send(cmd, key, ref)
        else:
            ref = self._store(client, data)
            sent = client.send(cmd, key, ref)
            if chance.random() < EXPIRES:
                self._expire(ref, sent, topic)
            else:
                self._kept[client.id] = ref, data
        self.data[sent] = data
        return sent

    def _send_wrong(self, client: Client, other: Client, cmd: str, key: str, data: Document) -> str:
        ref = self._store(client, data)
        found = self._objects[ref.object]
        match self._world.random.choice(["another's", "missing", "altered", "shorter"]):
            case "another's" if other is not client:
                digest = ref.object.rpartition("/")[2]
                self._objects[upload_name(other.id, digest)] = self._objects.pop(ref.object)
                return client.send(cmd, key, ref, of=other.id)
            case "altered":  # to data that a rule could take
                self._objects[ref.object] = found.replace(b"true", b"null").replace(b"false", b"true")
            case "shorter":
                self._objects[ref.object] = found.replace(b'"pad":', b'"p":')
            case _:
                del self._objects[ref.object]
        return client.send(cmd, key, ref)

    def _store(self, client: Client, data: Document) -> ClaimCheck:
        body = msgspec.json.encode(data | {"pad": self._world.random.getrandbits(64)})
        ref = ClaimCheck(upload_name(client.id, sha256(body).hexdigest()), len(body))
        self._objects[ref.object] = body
        return ref

    def _expire(self, ref: ClaimCheck, request_id: str, topic: Topic) -> None:
        """Have an upload vanish some time after its request was applied."""
        if topic.last.get(request_id) in ("accepted", "rejected"):
            del self._objects[ref.object]
        else:
            self._world.after(LOOK_SECONDS, lambda: self._expire(ref, request_id, topic))


class _Broken(BytesIO):
    """A body whose connection ends before it does."""

    def read(self, size: int | None = -1) -> bytes:
        raise ReadTimeoutError(endpoint_url="upload")
