"""The registry of devices: which public keys sign for a client.

Room: shell. The only place that reads its table. An item is a client: `pk`, and `public_keys`, a set of them as text.
`tidemill.signature.registration` is what adds one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from tidemill.signature import read_public_key
from tidemill_consumers.shell.calls import MapCalls, at_once
from tidemill_consumers.shell.entities import KEYS_PER_READ, READS_OF_UNPROCESSED, Unloadable, chunks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from types_boto3_dynamodb import DynamoDBClient

MAX_KEYS = 8
"""Keys of a client that are tried, the first by their text: each takes 0.1 ms of everybody's batch."""

KEPT_SECONDS = 60.0
"""How long keys are believed without asking again: a key that was removed counts for so long at most."""

MAX_CLIENTS = 10_000
"""Clients whose keys are remembered; the longest known goes first."""

CALLS_AT_ONCE = 4


class _Known(NamedTuple):
    keys: tuple[Ed25519PublicKey, ...]
    until: float


class Devices:
    """The table of registered keys, remembered for a while. For one thread.

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

    def known(self, clients: Iterable[str]) -> dict[str, tuple[Ed25519PublicKey, ...]]:
        """The keys of those whose keys are remembered."""
        now = self._clock()
        found = {client: self._known.get(client) for client in clients}
        return {client: known.keys for client, known in found.items() if known and now < known.until}

    def read(self, clients: Iterable[str]) -> dict[str, tuple[Ed25519PublicKey, ...]]:
        """The keys of those that have any, as of now (consistent reads).

        Raises:
            Unloadable: the table left keys unprocessed again and again.
            ClientError, BotoCoreError: the read failed.
            SigningUnavailable: the library that verifies is not installed.
        """
        until = self._clock() + KEPT_SECONDS
        wanted = list(dict.fromkeys(clients))
        pages = self._map(self._read_page, chunks(wanted, KEYS_PER_READ))
        found = dict(one for page in pages for one in page)
        for client in wanted:
            self._known.pop(client, None)
        self._known |= {client: _Known(keys, until) for client, keys in found.items()}
        for client in list(self._known)[: max(0, len(self._known) - MAX_CLIENTS)]:
            del self._known[client]
        return found

    def _read_page(self, clients: list[str]) -> list[tuple[str, tuple[Ed25519PublicKey, ...]]]:
        request: Any = {
            self._table: {
                "Keys": [{"pk": {"S": client}} for client in clients],
                "ProjectionExpression": "pk, public_keys",
                "ConsistentRead": True,
            }
        }
        found: list[tuple[str, tuple[Ed25519PublicKey, ...]]] = []
        for _ in range(READS_OF_UNPROCESSED):
            answer = self._dynamodb.batch_get_item(RequestItems=request)
            found += [(item["pk"]["S"], _keys(item)) for item in answer["Responses"].get(self._table, [])]
            request = answer.get("UnprocessedKeys")
            if not request:
                return found
        raise Unloadable(f"{self._table}: items stay unprocessed")


def _keys(item: Mapping[str, Any]) -> tuple[Ed25519PublicKey, ...]:
    """Those of an item. It was written by the client itself, perhaps: what is no key is passed over."""
    keys: list[Ed25519PublicKey] = []
    for text in sorted(item.get("public_keys", {}).get("SS", [])):
        with suppress(ValueError):
            keys.append(read_public_key(text))
        if len(keys) == MAX_KEYS:
            break
    return tuple(keys)
