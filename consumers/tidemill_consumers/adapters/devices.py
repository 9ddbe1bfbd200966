"""The registry of devices: which public keys sign for a client.

Room: adapters. The only reader of its table. An item is a client: `pk`, and `public_keys`, a set of texts.
`tidemill.contract.signature.registration` adds a key. A client may write its own item, with anything up to DynamoDB's
400 KB. So reading is bounded by bytes, and an item with more text than devices need counts as having no key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from heapq import nsmallest
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tidemill.contract.signature import MAX_KEYS, read_public_key
from tidemill_consumers.adapters.calls import MapCalls, at_once
from tidemill_consumers.adapters.entities import READS_OF_UNPROCESSED, Unloadable, chunks, read_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from types_boto3_dynamodb import DynamoDBClient

MAX_ITEM_BYTES = 4 * 1024
"""Limit for a client's registered texts, ten times what keys need: an item with more is overfull and has no keys."""

MAX_READ_BYTES = 128 * 1024 * 1024
"""Bytes of registered texts after which one `read` makes no more calls: some two seconds' work."""

CLIENTS_PER_READ = 20
"""Clients of one BatchGetItem call, below its limit: full items of three-byte texts take 20 times their size in memory.
"""

KEPT_SECONDS = 60.0
"""How long keys are cached: a removed key is accepted for this long at most."""

OVERFULL_SECONDS = 600.0
"""How long an overfull item is not read again: longer than a shard needs to pass as many as a batch can name."""

MAX_CLIENTS = 30_000
"""Clients whose keys are cached, more than one batch can name; the oldest entry is dropped first."""

CALLS_AT_ONCE = 2

_IS_KEY = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]").fullmatch  # 32 bytes leave two bits of the last unused


class Keys(NamedTuple):
    """A client's keys; none if its item is overfull, with more text than devices need."""

    keys: tuple[Ed25519PublicKey, ...] = ()
    overfull: bool = False


_Page: TypeAlias = tuple[dict[str, Keys], int]


class _Known(NamedTuple):
    keys: Keys
    until: float


class Devices:
    """The table of registered keys, cached for a while. For one thread.

    Args:
        dynamodb: a boto3 DynamoDB client.
        table: the table's name, with a string partition key `pk`.
        calls: makes several calls; by default some at once.
        clock: seconds.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        calls: MapCalls | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._map = calls or at_once(CALLS_AT_ONCE, "devices")
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def known(self, clients: Iterable[str]) -> dict[str, Keys]:
        """The cached keys of the clients; clients that are not cached are left out."""
        now = self._clock()
        found = {client: self._known.get(client) for client in clients}
        return {client: known.keys for client, known in found.items() if known and now < known.until}

    def read(self, clients: Iterable[str]) -> dict[str, Keys]:
        """The keys of the clients, as of now (consistent reads); of the first ones only, if there is much to read.

        The keys are cached, so that a later call goes on with the other clients. A client without an item has no keys
        and is not cached: it may register and send at once.

        Raises:
            Unloadable: the table left keys unprocessed again and again.
            ClientError, BotoCoreError: the read failed.
            SigningUnavailable: the library that verifies is not installed.
        """
        read: dict[str, Keys] = {}
        size = 0
        for wave in chunks(chunks(dict.fromkeys(clients), CLIENTS_PER_READ), CALLS_AT_ONCE):
            for asked, (found, bytes_read) in zip(wave, self._map(self._read_page, wave), strict=True):
                self._remember(asked, found)
                read |= {client: found.get(client, Keys()) for client in asked}
                size += bytes_read
            if size > MAX_READ_BYTES:
                break
        return read

    def _remember(self, asked: Iterable[str], found: Mapping[str, Keys]) -> None:
        now = self._clock()
        for client in asked:
            self._known.pop(client, None)
            if client in found:
                keys = found[client]
                self._known[client] = _Known(keys, now + (OVERFULL_SECONDS if keys.overfull else KEPT_SECONDS))
        for client in list(self._known)[: max(0, len(self._known) - MAX_CLIENTS)]:
            del self._known[client]

    def _read_page(self, clients: list[str]) -> _Page:
        request: Any = {
            self._table: {
                "Keys": [{"pk": {"S": client}} for client in clients],
                "ProjectionExpression": "pk, public_keys",
                "ConsistentRead": True,
            }
        }
        found: dict[str, Keys] = {}
        size = 0
        for _ in range(READS_OF_UNPROCESSED):
            items, request, _ = read_items(self._dynamodb, self._table, request)
            for item in items:
                texts = item.get("public_keys", {}).get("SS", [])
                of_item = sum(map(len, texts))
                size += of_item
                found[item["pk"]["S"]] = Keys(overfull=True) if of_item > MAX_ITEM_BYTES else Keys(_keys(texts))
            if not request:
                return found, size
        raise Unloadable(f"{self._table}: items stay unprocessed")


def _keys(texts: Iterable[str]) -> tuple[Ed25519PublicKey, ...]:
    """The keys among the texts, the first ones in text order. Other texts, which a client may write, are ignored."""
    keys: list[Ed25519PublicKey] = []
    for text in nsmallest(MAX_KEYS, filter(_IS_KEY, texts)):
        with suppress(ValueError):
            keys.append(read_public_key(text))
    return tuple(keys)
