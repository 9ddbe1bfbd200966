"""An operator who redrives what lies in the quarantine: the real code over the simulated bucket and stream."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from tests.simulation.clients import Client, Kind
from tests.simulation.services import Bucket, Stream
from tests.simulation.world import Crash, World, error
from tidemill.contract.request import Request
from tidemill.sending.records import RECORD_BYTES, Acknowledged
from tidemill_consumers.adapters.quarantine import PREFIX, Kept, read
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.operations.redrive import (
    DONE_PREFIX,
    IN_DOUBT,
    Found,
    Objects,
    Wait,
    Wanted,
    oldest_first,
    redrive,
)

T = TypeVar("T")

ATTEMPTS = 3
"""As boto3's standard mode has it."""


UNTOLD = "cannot be told from a repeat"
"""How the reason begins for which a re-send is quarantined."""


class Shelf:
    """The bucket, as an operator's S3 client: ListObjectsV2, GetObject, CopyObject and DeleteObject."""

    def __init__(self, bucket: Bucket, call: Callable[[Callable[[], Any]], Any]) -> None:
        self._objects = bucket.objects
        self._call = call

    def list_objects_v2(self, Bucket: str, Prefix: str, StartAfter: str) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            names = sorted(name for name in self._objects if name.startswith(Prefix) and name > StartAfter)
            return {"Contents": [{"Key": name} for name in names[:7]], "IsTruncated": len(names) > 7}

        found: dict[str, Any] = self._call(act)
        return found

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        stored: bytes = self._call(lambda: self._get(Key))
        return {"Body": BytesIO(stored), "ContentLength": len(stored)}

    def copy_object(self, Bucket: str, Key: str, CopySource: dict[str, str]) -> dict[str, Any]:
        self._call(lambda: self._objects.update({Key: self._get(CopySource["Key"])}))
        return {"CopyObjectResult": {"ETag": "e"}}

    def delete_object(self, Bucket: str, Key: str) -> None:
        self._call(lambda: self._objects.pop(Key, None))

    def _get(self, name: str) -> bytes:
        if name not in self._objects:
            raise error("NoSuchKey")
        return self._objects[name]


class Operator:
    """Someone at a terminal of his own. Several may be at it at once."""

    def __init__(self, world: World, stream: Stream, bucket: Bucket, lanes: int, seals: Seals | None) -> None:
        self._world = world
        self._stream = stream
        self._lanes = lanes
        self._bucket = bucket
        calm: Any = Shelf(bucket, lambda act: act())
        # Looking changes nothing, so there it is spared the faults: else it would hardly ever come to putting back.
        self._looking = Objects(calm, "quarantine", map, seals)
        s3: Any = Shelf(bucket, self._with_retries)
        self._objects = Objects(s3, "quarantine", map, seals)
        self._running = 0
        self._clients: list[Client] = []
        self.put_back: defaultdict[str, set[str]] = defaultdict(set)
        """Ids of the requests that were begun to be put back -> the writers that they were given."""

    @property
    def at_work(self) -> bool:
        """Whether anything is on its way."""
        return self._running > 0 or any(client.pending for client in self._clients)

    def begin(self, wanted: Wanted, most: int) -> None:
        """Redrive some of what is wanted; it may end at any call."""
        self._begin(wanted, lambda found: True, most)

    def begin_untold(self, first: Callable[[str], tuple[str, str, int]]) -> None:
        """Redrive the requests that could not be told from repeats and were never applied, once each.

        Args:
            first: where the first copy of a request stands, by its id: shard, sequence number and place, as the archive
                has it. A copy that could not be told was applied before if another stands before it.
        """
        found = [
            one for one in self._looking.find(Wanted(reason=UNTOLD, untold=True)) if one and one.kept and one.kept.id
        ]
        names = {one.object_key for one in found if one.kept and first(one.kept.id or "") == _place(one.kept)}
        self._begin(Wanted(reason=UNTOLD, untold=True), lambda one: one.object_key in names, len(names))

    def _begin(self, wanted: Wanted, chooses: Callable[[Found], bool], most: int) -> None:
        self._running += 1
        self._world.begin(lambda: self._run(wanted, chooses, most))

    def undo(self, reason: str) -> None:
        """Have what was moved lie in the quarantine again, as if it were not: of a key as much as may be in doubt."""
        done = [name for name in self._bucket.objects if name.startswith(DONE_PREFIX)]
        kept = {
            name: read(self._bucket.objects[name]) for name in done if reason.encode() in self._bucket.objects[name]
        }
        of_key = Counter(one.key for one in kept.values())
        for name in [name for name, one in kept.items() if of_key[one.key] <= IN_DOUBT]:
            self._bucket.objects[PREFIX + name.removeprefix(DONE_PREFIX)] = self._bucket.objects.pop(name)

    def is_left(self, wanted: Wanted) -> bool:
        """Whether anything is there that should have been put back."""
        return any(one and one.problem is None for one in self._looking.find(wanted))

    def _run(self, wanted: Wanted, chooses: Callable[[Found], bool], most: int) -> None:
        client = Client(self._world, self._stream, "operator", Kind(self._lanes, RECORD_BYTES))
        self._clients.append(client)
        found = oldest_first(one for one in self._looking.find(wanted) if one and chooses(one))
        chosen = self._world.random.sample(found, min(most, len(found)))
        try:
            for _ in redrive(self._objects, oldest_first(chosen), lambda request: self._put(client, request)):
                pass
        except (Crash, ClientError, BotoCoreError):
            pass  # what it had begun to put may arrive all the same
        finally:
            self._running -= 1

    def _put(self, client: Client, request: Request) -> Wait:
        self.put_back[request.id].add(request.writer or "")
        record = client.put(request)

        def wait() -> str | None:
            while record.outcome is None:
                self._world.sleep(0.05)
            return None if isinstance(record.outcome, Acknowledged) else "refused"

        return wait

    def _with_retries(self, act: Callable[[], T]) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._world.call("operator's bucket", act)
            except BotoCoreError:
                pass
            except ClientError as failure:
                if failure.response["Error"]["Code"] == "NoSuchKey":
                    raise
        return self._world.call("operator's bucket", act)


def _place(kept: Kept) -> tuple[str, str, int]:
    return kept.shard, kept.sequence, kept.sub
