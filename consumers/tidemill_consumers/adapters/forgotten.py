"""The table of writers that entities had no room for: batches put them there, and doubtful re-sends are looked up.

Room: adapters. The only module that uses this table. An item is what one batch made its entities forget:

    pk        the shard, as in marks; with "/awaited" behind it, those alone whose first attempt may yet come
    sk        a time in milliseconds since 1970, as 15 digits: not before the arrival of any of its requests; and a hash
    digests   8 bytes for each writer of a key
    counters  6 bytes for each
    expires   when DynamoDB may delete it, in seconds since 1970
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from tidemill_consumers.core.batch import Arrival, Entity, Forgotten, Write
from tidemill_consumers.core.folding.doubts import Question, Search, doubts, judged
from tidemill_consumers.core.folding.writers import COUNTER_BYTES, DIGEST_BYTES, awaited_of, is_of_awaited

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

WRITERS_PER_ITEM = 25_000
"""350 KB; an item may have 400."""

MAX_READ_BYTES = 64 * 1024 * 1024
"""Limit for what one look-up reads: the writers of an hour with 1,300 requests a second."""

MAX_PAGES = 256
"""Limit for the pages that one look-up reads, of up to 1 MB each."""

SLACK_SECONDS = 24 * 3600
"""How long items stay beyond the horizon: a batch may be applied that much later than its requests arrived, less what
follow-up requests have of it (`core.folding.doubts.EMIT_LAG_SECONDS`)."""


class Judged(NamedTuple):
    """Arrivals with what the table says of the doubtful ones.

    Attributes:
        arrivals: all but those of the failed keys.
        failed: keys that the table could not be asked about.
    """

    arrivals: Sequence[Arrival]
    failed: set[str]


class ForgottenWriters:
    """The table of forgotten writers.

    Args:
        dynamodb: a boto3 DynamoDB client.
        table: the table's name, with a string partition key `pk` and a string sort key `sk`.
        horizon: seconds after its first attempt that a re-send can be told from a repeat by the table.
        clock: DynamoDB's, by which it deletes: the function may lag behind the stream by more than items stay.
    """

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, horizon: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._horizon = horizon
        self._clock = clock

    def keep(self, writes: Sequence[Write]) -> set[str]:
        """Put what the writes' entities forget into the table; the keys of which that may have failed."""
        by_shard: defaultdict[str, list[Write]] = defaultdict(list)
        for write in writes:
            if write.forgotten is not None:
                by_shard[write.forgotten.shard].append(write)
        failed: set[str] = set()
        for shard, several in by_shard.items():
            latest = max([write.new_entity.forgotten for write in several if write.new_entity])
            gone = [write.forgotten for write in several if write.forgotten]
            every = Forgotten(shard, b"".join([one.digests for one in gone]), b"".join([one.counters for one in gone]))
            try:
                for part in (*_parts(every), *_parts(awaited_of(every))):
                    self._put(part, latest)
            except Exception as error:  # no answer, or one that cannot be read
                log.warning("cannot keep the forgotten writers of %d keys: %r", len(several), error)
                failed |= {write.key for write in several}
        return failed

    def judge(self, arrivals: Sequence[Arrival], entities: Mapping[str, Entity]) -> Judged:
        """The arrivals with what the table says of the doubtful ones."""
        asked = doubts(arrivals, entities, self._horizon)
        if not asked.questions and not asked.unknown:
            return Judged(arrivals, set())
        by_shard: defaultdict[str, list[Question]] = defaultdict(list)
        for question in asked.questions:
            for shard in question.shards:
                by_shard[shard].append(question)
        searches: list[Search] = []
        failed: set[str] = set()
        # First attempts have room of their own: what re-sends need must not keep them waiting.
        rooms = {is_late: _Room(MAX_READ_BYTES, MAX_PAGES) for is_late in (False, True)}
        for shard, questions in by_shard.items():
            search = Search(questions)
            try:
                self._read(shard, search, rooms[is_of_awaited(shard)])
            except Exception as error:  # no answer, or one that cannot be read
                log.warning("cannot look for %d re-sends among the forgotten writers: %r", len(questions), error)
                failed |= {question.key for question in questions}
            else:
                searches.append(search)
        every = judged(arrivals, asked, searches)
        return Judged([one for one in every if one.key not in failed] if failed else every, failed)

    def _read(self, shard: str, search: Search, room: _Room) -> None:
        pages = self._pages(shard, search.since)
        while not room.is_full:
            page = next(pages, None)
            if page is None:
                search.end()
                return
            room.pages -= 1
            for item in page:
                forgotten = Forgotten(shard, bytes(item["digests"]["B"]), bytes(item["counters"]["B"]))
                search.look(forgotten, int(item["sk"]["S"].partition("-")[0]) / 1000)
                room.bytes -= len(forgotten.digests) + len(forgotten.counters)

    def _pages(self, shard: str, since: float) -> Iterator[Sequence[Mapping[str, Any]]]:
        """What the shard's batches put there since then, the latest first."""
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :shard AND sk >= :since",
            "ExpressionAttributeValues": {":shard": {"S": shard}, ":since": {"S": f"{int(since * 1000):015}"}},
            "ConsistentRead": True,
            "ScanIndexForward": False,
        }
        while True:
            answer = self._dynamodb.query(**query)
            yield answer["Items"]
            if not answer.get("LastEvaluatedKey"):
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _put(self, forgotten: Forgotten, latest: float) -> None:
        # The hash makes a second item of another content, and the same one of the same content.
        name = blake2b(forgotten.digests + forgotten.counters, digest_size=8).hexdigest()
        item: Any = {
            "pk": {"S": forgotten.shard},
            "sk": {"S": f"{ceil(latest * 1000):015}-{name}"},
            "digests": {"B": forgotten.digests},
            "counters": {"B": forgotten.counters},
            "expires": {"N": str(ceil(max(latest, self._clock()) + self._horizon + SLACK_SECONDS))},
        }
        self._dynamodb.put_item(TableName=self._table, Item=item)


def _parts(every: Forgotten) -> Iterator[Forgotten]:
    """The writers in parts of one item each."""
    step = WRITERS_PER_ITEM
    for first in range(0, len(every.digests) // DIGEST_BYTES, step):
        digests = every.digests[first * DIGEST_BYTES : (first + step) * DIGEST_BYTES]
        yield Forgotten(every.shard, digests, every.counters[first * COUNTER_BYTES : (first + step) * COUNTER_BYTES])


@dataclass
class _Room:
    """What a look-up may still read."""

    bytes: int
    pages: int

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be read."""
        return self.bytes <= 0 or self.pages <= 0
