"""The table of entities: loads many, saves many, each save on condition of the version.

Room: adapters. The only module that uses this table.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_consumers.adapters.calls import MapCalls, at_once_fast
from tidemill_consumers.codec.entity_cache import EntityCache
from tidemill_consumers.codec.items import from_item
from tidemill_consumers.codec.statements import statement_of
from tidemill_consumers.core.batch import Entity, Write
from tidemill_consumers.core.streams import Stream, adopted, is_alone

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

T = TypeVar("T")

KEYS_PER_READ = 100
"""BatchGetItem's limit."""

STATEMENTS_PER_CALL = 25
"""BatchExecuteStatement's limit."""

READS_OF_UNPROCESSED = 8
"""Consecutive BatchGetItem calls without progress before the batch is delivered again.

One answer has at most 16 MB, but 100 items may have 40 MB: keys beyond that are left unprocessed too.
"""

CALLS_AT_ONCE = 4

CONFLICTS = frozenset({"ConditionalCheckFailed", "DuplicateItem"})
"""Error codes of a statement whose entity another invocation saved meanwhile."""

NEVER_TAKEN = frozenset(
    {"ValidationError", "ValidationException", "ItemCollectionSizeLimitExceeded"}
    | {"ItemCollectionSizeLimitExceededException", "SerializationException", "RequestEntityTooLarge", "413"}
)
"""Error codes of a statement that is refused for itself, or of a call that is for a statement or its total size.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
"""

TOO_LARGE = "Item size"
"""Prefix of DynamoDB's messages about an item of more than 400 KB: these never mean that the table is at fault."""

MAX_SHOWN = 300
"""Characters of an error that are kept and logged."""

SHOWN_OF_KEY = 40


MAX_READ_BYTES = 32 * 1024 * 1024
"""Limit for the answers, as JSON, whose entities are in memory together. As objects, numbers take up to sixteen times
that, texts three times."""


class Recalled(NamedTuple):
    """Entities to plan with.

    Attributes:
        entities: the entities that exist.
        unread: keys of entities from the cache, which may be stale.
        left: keys that there is no memory for; they are recalled once the others are done.
    """

    entities: dict[str, Entity]
    unread: set[str]
    left: set[str]


class Room:
    """Memory for answers: the first always fits; another is read only if expected to fit, and used only if it does.

    Args:
        size: bytes of answers.
    """

    def __init__(self, size: float) -> None:
        self._size = size
        self._lock = Lock()  # answers come in several threads
        self._bytes = self._keys = 0

    def expects(self, keys: int) -> bool:
        """Whether there is room for this many more keys, if their items are as large as the others on average."""
        return self._bytes * (self._keys + keys) <= self._size * self._keys if self._keys else True

    def takes(self, size: int, keys: int) -> bool:
        """Take an answer of `size` bytes for some keys, if it fits; whether it did."""
        with self._lock:
            if self._bytes and self._bytes + size > self._size:
                return False
            self._bytes += size
            self._keys += keys
            return True


class Unloadable(RuntimeError):
    """The table did not return some items; the batch must be delivered again."""


class Entities:
    """The table of entities.

    Args:
        dynamodb: a boto3 DynamoDB client.
        table: the table's name, with a string partition key `pk`.
        calls: makes several calls; by default some at once.
        cache: keeps saved entities for `recall`; by default none are kept.
        own: returns the application's own stream, which gets the marks that name none; by default these stay so.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        calls: MapCalls | None = None,
        cache: EntityCache | None = None,
        own: Callable[[], Stream] | None = None,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._map = calls or at_once_fast(CALLS_AT_ONCE, "dynamodb")
        self._cache = cache
        self._own = own
        self.write_calls = 0
        """Number of BatchExecuteStatement calls made."""
        self.write_units = 0.0
        """Write units that these took, as DynamoDB states them."""
        self.conflicts = 0
        """Number of statements whose entity another invocation had saved meanwhile."""
        self.cache_hits = 0
        """Number of entities that were recalled without reading them."""
        self.has_saved = False
        """Whether the table ever accepted a statement: then a refusal is the statement's fault, not the table's."""

    def load(self, keys: Iterable[str]) -> dict[str, Entity]:
        """The entities that exist among the keys, as of now (consistent reads).

        Raises:
            Unloadable: the table left keys unprocessed again and again.
            ClientError, BotoCoreError: the read failed.
        """
        return self._load(dict.fromkeys(keys), Room(math.inf))[0]

    def recall(self, keys: Iterable[str]) -> Recalled:
        """The entities to plan with, from the cache or read, no more than there is memory for.

        Raises:
            Unloadable, ClientError, BotoCoreError: as `load`.
        """
        room = Room(MAX_READ_BYTES)
        wanted = list(dict.fromkeys(keys))
        if self._cache is None:
            found, left = self._load(wanted, room)
            return Recalled(found, set(), left)
        held = self._cache.take(wanted)
        # Sample the first ones: a batch meets its busiest keys early, and another environment changes those first.
        sample = list(islice(held, self._cache.samples))
        found, left = self._load([*sample, *[key for key in wanted if key not in held]], room)
        versions = {key: held.pop(key).version for key in sample if key not in left}
        if any(key not in found or found[key].version != version for key, version in versions.items()):
            self._cache.forget()
            others, unread = self._load([key for key in held if key not in left], room)
            return Recalled(found | others, set(), left | unread)
        recalled = {key: entity for key, entity in held.items() if key not in left}
        self.cache_hits += len(recalled)
        return Recalled(found | recalled, set(recalled), left)

    def save(self, writes: Sequence[Write]) -> dict[str, str | None]:
        """Save each entity if its version is still the expected one; the keys that were not saved.

        Each key has the reason why the table never accepts the entity, or None if trying again may help: after a
        conflict, a failed call, or throttling.
        """
        pages = self._map(self._save_page, chunks(writes, STATEMENTS_PER_CALL))
        failed = {key: reason for page in pages for key, reason in page.items()}
        if self._cache is not None:
            saved = [(write.new_entity, write.document_bytes) for write in writes if write.key not in failed]
            self._cache.keep([entity for entity, _ in saved if entity], [size for entity, size in saved if entity])
        return failed

    def _load(self, keys: Iterable[str], room: Room) -> tuple[dict[str, Entity], set[str]]:
        """The existing entities among the keys that there is room for, and the remaining keys."""
        pages = chunks(keys, KEYS_PER_READ)
        # The first page alone: it shows how large items are, before several pages are read at once.
        loaded = [self._load_page(page, room) for page in islice(pages, 1)]
        loaded += self._map(partial(self._load_page, room=room), pages)
        return {one.key: one for found, _ in loaded for one in found}, {key for _, left in loaded for key in left}

    def _load_page(self, keys: list[str], room: Room) -> tuple[list[Entity], Sequence[str]]:
        found: list[Entity] = []
        tries = 0
        while tries < READS_OF_UNPROCESSED:
            if not room.expects(len(keys)):
                return found, keys
            request = {self._table: {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}}
            answer = read_items(self._dynamodb, self._table, request)
            unprocessed = answer.unprocessed.get(self._table, {}).get("Keys", ())
            left = [one["pk"]["S"] for one in unprocessed]
            if not room.takes(answer.size, len(keys) - len(left)):
                return found, keys
            found += map(self._read, answer.items)
            if not left:
                return found, ()
            tries = 0 if len(left) < len(keys) else tries + 1
            keys = left
        raise Unloadable(f"{self._table}: items stay unprocessed")

    def _read(self, item: Any) -> Entity:
        try:
            entity = from_item(item)
        except Exception as error:  # its requests are quarantined, and the shard goes on
            log.warning("the item of key %s cannot be read: %r", shown(item["pk"]["S"]), error)
            return Entity(item["pk"]["S"], unusable=f"its item cannot be read: {error!r}")
        if self._own is None or not any(map(is_alone, entity.marks)):
            return entity
        return adopted(entity, self._own())

    def _save_page(self, writes: list[Write]) -> dict[str, str | None]:
        self.write_calls += 1
        try:
            statements: Any = [statement_of(self._table, write) for write in writes]
            answer = self._dynamodb.batch_execute_statement(Statements=statements, ReturnConsumedCapacity="TOTAL")
            outcomes = list(answer["Responses"])
            if len(outcomes) != len(writes):
                raise ValueError(f"{len(outcomes)} results for {len(writes)} statements")
        except Exception as error:  # no answer, or one that cannot be read
            return self._not_saved(writes, error)
        failed = [
            (write, _error_of(outcome))
            for write, outcome in zip(writes, outcomes, strict=True)
            if not _is_saved(outcome)
        ]
        self.has_saved |= len(failed) < len(writes)
        self.write_units += units_of(answer)
        if failed:
            self.conflicts += sum([error.get("Code") in CONFLICTS for _, error in failed])
            _log(failed)
        return {write.key: _why_never(error) for write, error in failed}

    def _not_saved(self, writes: list[Write], error: Exception) -> dict[str, str | None]:
        """The result of a failed call. If a statement was the cause, it is found by bisection."""
        reason = _why_never(_error_of(error.response)) if isinstance(error, ClientError) else None
        if reason is not None and len(writes) > 1:
            half = len(writes) // 2
            return self._save_page(writes[:half]) | self._save_page(writes[half:])
        log.warning("cannot save %d entities, first %s: %r", len(writes), shown(writes[0].key), error)
        # Without a reason, some may have been saved: loading them again tells.
        return {write.key: reason for write in writes}


def _why_never(error: Mapping[str, Any]) -> str | None:
    """Why the table never accepts a statement; None if the error has another cause than the statement itself."""
    code = error.get("Code", "")
    return f"{code}: {str(error.get('Message', ''))[:MAX_SHOWN]}" if code in NEVER_TAKEN else None


def _log(failed: Iterable[tuple[Write, Mapping[str, Any]]]) -> None:
    """Log the count and one statement of each kind of error; conflicts only at debug level."""
    kinds: dict[str, list[tuple[Write, Mapping[str, Any]]]] = {}
    for write, error in failed:
        kinds.setdefault(error.get("Code", ""), []).append((write, error))
    for code, several in kinds.items():
        write, error = several[0]
        verb = "INSERT" if write.expected_version == 0 else "UPDATE"
        log.log(
            logging.DEBUG if code in CONFLICTS else logging.WARNING,
            "cannot save %d entities: %s: %s; the first is %s of key %s, version %d",
            len(several),
            code,
            str(error.get("Message", ""))[:MAX_SHOWN],
            verb,
            shown(write.key),
            write.expected_version + 1,
        )


def shown(key: str) -> str:
    """A key for the log: shortened, and in ASCII, so that it cannot forge another line."""
    return ascii(key[:SHOWN_OF_KEY]) + ("…" if len(key) > SHOWN_OF_KEY else "")


class StatementResult(NamedTuple):
    """BatchGetItem's items, the request for the unprocessed keys, and the answer's size in bytes (0 if unknown)."""

    items: Sequence[Any]
    unprocessed: Mapping[str, Any]
    size: int


def read_items(dynamodb: DynamoDBClient, table: str, request: Any) -> StatementResult:
    """The items that BatchGetItem found in the table, and the request for the unprocessed keys.

    Raises:
        Unloadable: the answer cannot be read; it must not be taken for an empty one.
        ClientError, BotoCoreError: the read failed.
    """
    try:
        answer: Any = dynamodb.batch_get_item(RequestItems=request)
        size = int(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-length", 0))
        return StatementResult(list(answer["Responses"].get(table, [])), answer.get("UnprocessedKeys") or {}, size)
    except (ClientError, BotoCoreError):
        raise
    except Exception as error:
        raise Unloadable(f"{table}: the answer cannot be read: {error!r}") from error


def _is_saved(outcome: object) -> bool:
    """Whether a statement's result is a success; an unreadable one is not."""
    return isinstance(outcome, dict) and "Error" not in outcome


def _error_of(outcome: object) -> Mapping[str, Any]:
    """The error in a statement's result; empty if it cannot be read."""
    error = outcome.get("Error") if isinstance(outcome, dict) else None
    return error if isinstance(error, dict) else {}


def units_of(answer: Any) -> float:
    """The write units that DynamoDB states, one number a statement; 0 if it states none that can be read."""
    try:
        return float(sum([one["CapacityUnits"] for one in answer["ConsumedCapacity"]]))
    except (KeyError, TypeError):
        return 0.0


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
