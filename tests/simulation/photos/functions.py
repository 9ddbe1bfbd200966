"""The functions on events in the simulated world: uploads come back as requests, and what these change is listed.

    bucket → its notifications → media → stream → apply → table → its stream → index → bucket

Only what AWS does is replaced, and the decoder. The functions' own code runs, each invocation in an environment that
may end at any call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from tests.simulation.photos.bus import EXPECTED, Bus, Event
from tests.simulation.photos.decoder import Decoder, File
from tests.simulation.photos.storage import BUCKET, Storage
from tests.simulation.photos.table import ARN, StreamedTable
from tests.simulation.pipeline import OWN, Pipeline, Pollers
from tests.simulation.services import Kinesis
from tests.simulation.world import Crash, World
from tidemill.contract.content_index import GRACE_MS
from tidemill.contract.places import photo_version
from tidemill.sending.scheduler import Scheduler
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.core.folding.depth import EMIT_DEPTH
from tidemill_consumers.media import RULES
from tidemill_event_source.decisions.batches import Batch
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_media.adapters.cached_thumbnails import CachedThumbnails
from tidemill_media.adapters.documents import Documents
from tidemill_media.adapters.index_files import IndexFiles
from tidemill_media.adapters.old_thumbnails import OldThumbnails
from tidemill_media.adapters.photo_files import PhotoFiles
from tidemill_media.contents import MEMBERS
from tidemill_media.imaging import Made, Unsupported
from tidemill_media.index import Indexing, index
from tidemill_media.media import Processing, media
from tidemill_media.thumbnail import Serving, thumbnail

SIZES = (64, 256)
"""Of thumbnails, in pixels."""


ASKED_SIZE = 128
"""Of thumbnails that are made when they are asked for."""


class _Noting(CachedThumbnails):
    """Notes what it begins to store."""

    def __init__(self, s3: Any, bucket: str) -> None:
        super().__init__(s3, bucket)
        self.begun: set[str] = set()

    def _put(self, name: str, data: bytes, kind: str) -> None:
        self.begun.add(name)
        super()._put(name, data, kind)


class Functions:
    """All of them, over one bucket and one table.

    Args:
        world: the world, of whose chance the rest is.
        shards: how many the table's stream has at first; there is an index function at work for each.
        lanes: of whoever sends requests.
        make_bus: makes what brings S3's notifications to a function.
    """

    def __init__(
        self, world: World, shards: int, lanes: int, make_bus: Callable[[World, Callable[[Event], None]], Bus] = Bus
    ) -> None:
        chance = world.random
        self.world = world
        self._lanes = lanes
        self.decoder = Decoder(world)
        self.decoded_again: list[int] = []
        """Files that were decoded though an invocation had come to its end with them before this one began."""
        self._done: set[str] = set()
        self.grace = GRACE_MS
        """Milliseconds for which pages of an index stay that are replaced."""
        self.out_until = 0.0
        """Until when the index function fails, so that it is behind what changes."""
        self.left_by_failures: set[str] = set()
        """Cached thumbnails of invocations that did not come to their end, which are left to expire."""
        self._asking = 0
        self.unfinished: Counter[str] = Counter()
        """Invocations that did not come to their end, by the version of the photo that they were about."""
        self.bus = make_bus(world, self._media)
        self.storage = Storage(world, self.bus.tell)
        self.table = StreamedTable(world, shards)
        self._dynamodb: Any = self.table
        self.pipeline = Pipeline(
            world,
            RULES,
            chance.choice([1, 2, 3]),
            chance.choice([10, 50, 200]),
            chance.choice([0.0, 0.5, 2.0]),
            lanes,
            has_other=False,
            has_secret=True,
            emit_depth=EMIT_DEPTH,
            table=self.table,
        )
        self.changes = Pollers(
            world,
            self.table.stream,
            MappingConfig(
                ARN,
                batch_size=chance.choice([1, 10, 100]),
                window=chance.choice([0.0, 1.0, 20.0]),
                bisect_batch_on_function_error=True,
            ),
            self._index,
            lambda record: record.data,
        )

    @property
    def are_quiet(self) -> bool:
        """Whether all that happened was heard of, and done."""
        is_busy = self.bus.under_way or self._asking
        return not is_busy and self.changes.idle and all(one.idle for one in self.pipeline.sources)

    def break_down(self, seconds: float) -> None:
        """Have the index function fail for some time."""
        self.world.faults["index function out of order"] += 1
        self.out_until = self.world.now + seconds

    def watch(self) -> None:
        """Begin to read the streams."""
        for source in (*self.pipeline.sources, self.changes):
            source.watch()

    def ask(self, key: str) -> None:
        """Have somebody ask for a thumbnail of a content, in a size that is made when it is asked for."""
        s3: Any = self.storage
        files = _Noting(s3, BUCKET)
        parts = Serving(files, Documents(self._dynamodb, "entities"), [ASKED_SIZE], self.decoder)
        self._asking += 1

        def run() -> None:
            try:
                answer = thumbnail({"rawPath": f"/thumbnails/{quote(key, safe='')}/{ASKED_SIZE}.webp"}, parts)
                name = answer["headers"].get("location", "").removeprefix(f"https://{BUCKET}/")
                if name and name not in self.storage.versions:
                    self.bus.failures.append(f"{key} was redirected to {name}, which was never there")
            except (Crash, Exception) as failure:
                self.left_by_failures |= files.begun
                if not isinstance(failure, EXPECTED):
                    self.bus.failures.append(repr(failure))
            finally:
                self._asking -= 1

        self.world.begin(run, stalls=self.world.strikes("slow invocation"))

    def _media(self, event: Event) -> None:
        version = photo_version(event["detail"]["object"]["sequencer"])
        is_done = version in self._done

        def work(data: bytes, *how: Any, **more: Any) -> Made | Unsupported:
            if is_done:
                self.decoded_again.append(msgspec.json.decode(data, type=File).number)
            return self.decoder(data, *how, **more)

        s3: Any = self.storage
        kinesis: Any = Kinesis(self.world, self.pipeline.stream)
        scheduler = partial(Scheduler, self.world.random, lanes=self._lanes, linger=0, paced=False)
        emits = Emits(kinesis, OWN, scheduler, self.world.sleep, self.pipeline.seals)
        files, documents = PhotoFiles(s3, BUCKET, map), Documents(self._dynamodb, "entities", MEMBERS)
        self.unfinished[version] += 1
        media(event, Processing(files, documents, emits, SIZES, work, lambda: self.world.now))
        self.unfinished[version] -= 1
        self._done.add(version)

    def _index(self, batch: Batch) -> bytes:
        if self.world.now < self.out_until:
            raise RuntimeError("the function is out of order")
        s3: Any = self.storage
        parts = Indexing(
            IndexFiles(s3, BUCKET),
            Documents(self._dynamodb, "entities"),
            OldThumbnails(s3, BUCKET, map),
            map,
            self.world.sleep,
            lambda: self.world.now,
            self.grace,
        )
        index(msgspec.json.decode(batch.event), parts)
        return b"null"
