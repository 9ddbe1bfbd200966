"""The registry against a real table: what is registered, how long it is remembered, what it costs."""

import base64
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidemill.contract.signature import MAX_KEYS, Signer, deregistration, new_key, registration
from tidemill_consumers.adapters.devices import (
    CLIENTS_PER_READ,
    KEPT_SECONDS,
    MAX_CLIENTS,
    MAX_ITEM_BYTES,
    OVERFULL_SECONDS,
    Devices,
    Keys,
)
from tidemill_consumers.adapters.entities import READS_OF_UNPROCESSED, Unloadable
from tidemill_local.emulator import Emulator

Clients: TypeAlias = Callable[[str], Any]


class Clock:
    """Stands still unless it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Registry:
    """Devices over a table, with a clock of the test's own and its calls counted."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self.clock = Clock()
        self.devices = Devices(dynamodb, table, calls=map, clock=self.clock)
        self.reads: list[int] = []
        dynamodb.meta.events.register("before-parameter-build.dynamodb.BatchGetItem", self._count)

    def _count(self, params: Any, **_: Any) -> None:
        self.reads.append(len(params["RequestItems"][self._table]["Keys"]))

    def add(self, client: str, key: str) -> None:
        self._dynamodb.update_item(TableName=self._table, **registration(client, key))

    def remove(self, client: str, key: str) -> None:
        self._dynamodb.update_item(TableName=self._table, **deregistration(client, key))

    def put(self, client: str, **attributes: Any) -> None:
        self._dynamodb.put_item(TableName=self._table, Item={"pk": {"S": client}, **attributes})


@pytest.fixture
def registry(new_client: Clients, table: str) -> Registry:
    return Registry(new_client("dynamodb"), table)


def text(number: int) -> str:
    """A public key."""
    return Signer(Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")), stream="s").public_key


def texts(keys: Keys) -> set[str]:
    return {base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode() for key in keys.keys}


def test_keys_are_registered_and_removed(registry: Registry) -> None:
    signer = Signer.from_pem(new_key(), stream="s")
    registry.add("ada", signer.public_key)
    registry.add("ada", text(1))
    registry.add("ada", text(1))
    registry.add("bob", text(2))
    found = registry.devices.read(["ada", "bob", "eve"])
    assert {client: texts(keys) for client, keys in found.items()} == {
        "ada": {signer.public_key, text(1)},
        "bob": {text(2)},
        "eve": set(),
    }
    registry.remove("ada", text(1))
    registry.remove("bob", text(2))
    assert texts(registry.devices.read(["ada", "bob"])["ada"]) == {signer.public_key}
    assert registry.devices.known(["bob"]) == {"bob": Keys()}


def test_they_are_remembered_for_a_while(registry: Registry) -> None:
    registry.add("ada", text(1))
    assert registry.devices.known(["ada"]) == {}
    read = registry.devices.read(["ada", "eve"])
    registry.clock.now += KEPT_SECONDS - 1
    assert registry.devices.known(["ada", "eve"]) == {"ada": read["ada"]}, "whom there is nothing of is asked for again"
    registry.clock.now += 1
    assert registry.devices.known(["ada"]) == {}


def test_a_client_that_is_gone_is_forgotten_once_it_is_read(registry: Registry, table: str, emulator: Emulator) -> None:
    registry.add("ada", text(1))
    registry.devices.read(["ada"])
    emulator.client("dynamodb").delete_item(TableName=table, Key={"pk": {"S": "ada"}})
    assert registry.devices.read(["ada"]) == {"ada": Keys()}
    assert registry.devices.known(["ada"]) == {}


def test_many_are_read_with_few_calls_and_each_once(registry: Registry) -> None:
    registry.add("c7", text(7))
    clients = [f"c{number}" for number in range(101)]
    read = registry.devices.read([*clients, *clients])
    assert list(read) == clients
    assert [client for client, keys in read.items() if keys.keys] == ["c7"]
    assert registry.reads == [CLIENTS_PER_READ] * 5 + [1]
    assert registry.devices.read([]) == {}
    assert len(registry.reads) == 6


def test_what_is_no_key_is_passed_over(registry: Registry) -> None:
    registry.put("ada", public_keys={"SS": ["nonsense", text(1), "é" * 43]})
    registry.put("bob", public_keys={"S": text(1)})
    registry.put("eve")
    found = registry.devices.read(["ada", "bob", "eve"])
    assert {client: texts(keys) for client, keys in found.items()} == {"ada": {text(1)}, "bob": set(), "eve": set()}


def test_no_more_than_some_keys_of_a_client_count_the_first_by_their_text(registry: Registry) -> None:
    registered = sorted(text(number) for number in range(20))
    registry.put("ada", public_keys={"SS": ["", "-" * 43, *registered][1:]})
    assert texts(registry.devices.read(["ada"])["ada"]) == set(registered[:MAX_KEYS]), "no place is lost to nonsense"


def test_no_more_than_some_keys_are_registered(registry: Registry) -> None:
    for number in range(MAX_KEYS):
        registry.add("ada", text(number))
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        registry.add("ada", text(MAX_KEYS))
    registry.add("ada", text(0))
    registry.remove("ada", text(1))
    registry.add("ada", text(MAX_KEYS))
    assert texts(registry.devices.read(["ada"])["ada"]) == {text(0), *map(text, range(2, MAX_KEYS + 1))}


@pytest.mark.parametrize(
    "filling",
    [
        pytest.param([str(number) for number in range(10_000)], id="many short texts"),
        pytest.param([f"{number:043}" for number in range(1_000)], id="many that look like keys"),
        pytest.param(["x" * MAX_ITEM_BYTES], id="a long text"),
    ],
)
def test_an_item_with_more_than_keys_holds_none_and_is_not_read_again_for_a_while(
    registry: Registry, filling: list[str]
) -> None:
    registry.put("ada", public_keys={"SS": [text(1), *filling]})
    overfull = {"ada": Keys((), overfull=True)}
    assert registry.devices.read(["ada"]) == overfull
    registry.clock.now += OVERFULL_SECONDS - 1
    assert registry.devices.known(["ada"]) == overfull
    registry.clock.now += 1
    assert registry.devices.known(["ada"]) == {}


def test_an_item_is_full_at_its_last_byte(registry: Registry) -> None:
    registry.put("ada", public_keys={"SS": [text(1), "x" * (MAX_ITEM_BYTES - 43)]})
    assert texts(registry.devices.read(["ada"])["ada"]) == {text(1)}


def test_one_read_takes_only_so_much_and_the_next_goes_on(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.adapters.devices.CLIENTS_PER_READ", 2)
    monkeypatch.setattr("tidemill_consumers.adapters.devices.MAX_READ_BYTES", 30_000)
    clients = [f"c{number}" for number in range(11)]
    for client in clients[:10]:
        registry.put(client, public_keys={"SS": ["x" * 10_000]})
    registry.add("c10", text(1))
    read = registry.devices.read(clients)
    assert list(read) == clients[:4], "a wave of two calls, which went beyond"
    known = registry.devices.known(clients)
    assert known == read
    rest = [client for client in clients if client not in known]
    assert [list(registry.devices.read(rest)), list(registry.devices.read(clients[8:]))] == [clients[4:8], clients[8:]]
    assert registry.reads == [2, 2, 2, 2, 2, 1]


def test_no_more_than_some_clients_are_remembered(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.adapters.devices.MAX_CLIENTS", 2)
    assert MAX_CLIENTS > 2
    for client in ("ada", "bob", "cay"):
        registry.add(client, text(1))
    for client in ("ada", "bob", "ada", "cay"):
        registry.devices.read([client])
    assert set(registry.devices.known(["ada", "bob", "cay"])) == {"ada", "cay"}


@pytest.mark.parametrize("change", [registration, deregistration])
@pytest.mark.parametrize("nothing", ["", "A" * 42, "A" * 44, "-----BEGIN PUBLIC KEY-----"])
def test_what_is_no_key_is_not_registered(change: Callable[[str, str], Any], nothing: str) -> None:
    with pytest.raises(ValueError, match="no Ed25519 public key"):
        change("ada", nothing)


def test_a_table_that_cannot_be_read_fails_the_batch(new_client: Clients, stub: Any, table: str) -> None:
    with pytest.raises(ClientError):
        Devices(new_client("dynamodb"), "missing", calls=map).read(["ada"])
    dynamodb, answers = stub("dynamodb")
    unprocessed = {"Responses": {}, "UnprocessedKeys": {table: {"Keys": [{"pk": {"S": "ada"}}]}}}
    for _ in range(READS_OF_UNPROCESSED):
        answers.add_response("batch_get_item", unprocessed)
    with pytest.raises(Unloadable):
        Devices(dynamodb, table, calls=map).read(["ada"])
