"""Whose requests a batch holds: which keys are read for it, how often, and what stands when none can be."""

from collections.abc import Iterable

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tidemill.contract.request import Request, encode
from tidemill.contract.signature import Signer, SigningUnavailable
from tidemill_consumers.adapters.devices import Devices, Keys
from tidemill_consumers.adapters.trust import MOST_AGE_SECONDS, NO_REGISTRY, RENEWAL_SECONDS, StoredSeals, Trust
from tidemill_consumers.core.batch import Arrival, Position, Proof, with_request
from tidemill_consumers.core.emits import EMITTER
from tidemill_consumers.core.trust import NOT_SEALED, Claim, Seals, is_proven

STREAM = "requests"
SEALS = Seals(STREAM, ["s" * 43])


class Registry(Devices):
    """A table in memory, and what has been read of it."""

    def __init__(self, **keys: list[Ed25519PrivateKey]) -> None:
        self.table = {client: Keys(tuple(key.public_key() for key in of_client)) for client, of_client in keys.items()}
        self.remembered: dict[str, Keys] = {}
        self.reads: list[list[str]] = []
        self.most = 1000
        """Clients of one read."""

    def known(self, clients: object) -> dict[str, Keys]:
        return dict(self.remembered)

    def read(self, clients: object) -> dict[str, Keys]:
        asked = list(clients)  # type: ignore[call-overload] # names of clients
        if asked:
            self.reads.append(asked)
        asked = asked[: self.most]
        self.remembered |= {client: self.table[client] for client in asked if client in self.table}
        return {client: self.table.get(client, Keys()) for client in asked}


def key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


def arrival(number: int, client: str, signed_by: Ed25519PrivateKey | None = None, writer: str = "w") -> Arrival:
    request = Request(id=str(number), cmd="pay", key="k", client=client, writer=writer, counter=number, data={})
    request = Signer(signed_by, stream=STREAM).sign(request) if signed_by else request
    return Arrival("s", Position(number, 0), 1000.0, "k", request, encode(request))


def problems(found: object) -> list[str | None]:
    """Of each arrival, in their order; "unsigned" for those without a proof."""
    assert isinstance(found, list)
    return [one.proof.problem if one.proof else "unsigned" for one in found]


def test_a_batch_without_signatures_is_left_alone() -> None:
    arrivals = [arrival(1, "ada"), arrival(2, "bob", writer=EMITTER + "k")]
    registry = Registry(ada=[key(1)])
    assert Trust(STREAM, registry).verified(arrivals) is arrivals
    assert registry.reads == []


def test_its_keys_are_read_at_once_and_then_remembered() -> None:
    registry = Registry(ada=[key(1)], bob=[key(2)])
    trust = Trust(STREAM, registry, SEALS)
    arrivals = [
        arrival(1, "ada", key(1)),
        arrival(2, "ada"),
        arrival(3, "bob", key(2)),
        arrival(4, "ada", key(1)),
        arrival(5, "ada", key(2)),
        arrival(6, "eve", key(1)),
        arrival(7, "eve", writer=EMITTER + "k"),
    ]
    found = trust.verified(arrivals)
    assert problems(found) == [
        None,
        "unsigned",
        None,
        None,
        "signed, by none of the keys registered for 'ada'",
        "signed, but no key is registered for 'eve'",
        NOT_SEALED,
    ]
    assert [one.position for one in found] == [one.position for one in arrivals]
    assert registry.reads == [["ada", "bob", "eve"]]
    assert problems(trust.verified(arrivals[:4])) == [None, "unsigned", None, None]
    assert len(registry.reads) == 1


def test_what_remembered_keys_do_not_prove_is_looked_up_once_more() -> None:
    """A device may be registered and send at once."""
    registry = Registry(ada=[key(1)], bob=[key(2)])
    trust = Trust(STREAM, registry)
    trust.verified([arrival(1, "ada", key(1)), arrival(2, "bob", key(2))])
    registry.table["ada"] = Keys((key(1).public_key(), key(3).public_key()))
    batch = [arrival(3, "ada", key(3)), arrival(4, "ada", key(1)), arrival(5, "ada", key(4)), arrival(6, "bob", key(2))]
    assert problems(trust.verified(batch)) == [None, None, "signed, by none of the keys registered for 'ada'", None]
    assert registry.reads[1:] == [["ada", "ada"]]


def test_a_client_with_an_overfull_item_is_not_read_again() -> None:
    registry = Registry(bob=[key(2)])
    registry.table["ada"] = Keys((), overfull=True)
    trust = Trust(STREAM, registry)
    batch = [arrival(1, "ada", key(1)), arrival(2, "bob", key(2))]
    overfull = "signed, but more is registered for 'ada' than keys of devices: none counts"
    assert [problems(trust.verified(batch)) for _ in range(2)] == [[overfull, None]] * 2
    assert registry.reads == [["ada", "bob"]]


def test_what_the_registry_does_not_tell_yet_is_left_with_all_that_follows() -> None:
    registry = Registry(ada=[key(1)], bob=[key(2)], cid=[key(3)])
    registry.most = 2
    trust = Trust(STREAM, registry)
    batch = [arrival(1, "ada", key(1)), arrival(2, "bob", key(2)), arrival(3, "ada")]
    batch += [arrival(4, "cid", key(3)), arrival(5, "ada", key(1)), arrival(6, "ada")]
    assert problems(trust.verified(batch)) == [None, None, "unsigned"]
    assert problems(trust.verified(batch)) == [None, None, "unsigned", None, None, "unsigned"]
    assert registry.reads == [["ada", "bob", "cid"], ["cid"]]


def test_what_is_not_told_anew_is_left_too() -> None:
    registry = Registry(ada=[key(1)], bob=[key(2)])
    trust = Trust(STREAM, registry)
    trust.verified([arrival(1, "ada", key(1)), arrival(2, "bob", key(2))])
    registry.most = 1
    batch = [arrival(3, "ada", key(9)), arrival(4, "ada", key(1)), arrival(5, "bob", key(9)), arrival(6, "ada", key(1))]
    assert problems(trust.verified(batch)) == ["signed, by none of the keys registered for 'ada'", None]


def test_signatures_of_one_delivery_are_tried_up_to_the_end_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.adapters.trust.MAX_TRIED", 3)
    registry = Registry(ada=[key(1), key(2)])
    trust = Trust(STREAM, registry)
    aggregate = [
        msgspec.structs.replace(arrival(number, "ada", key(2)), position=Position(1, number)) for number in range(1, 5)
    ]
    batch = [*aggregate, arrival(5, "bob"), arrival(6, "ada", key(2)), arrival(7, "bob")]
    assert len(trust.verified(batch)) == 5, "the record's own are never too many"
    assert problems(trust.verified(batch[4:])) == ["unsigned", None, "unsigned"]


def test_a_key_that_was_tried_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    real = is_proven

    def counted(claim: Claim, keys: Iterable[Ed25519PublicKey]) -> bool:
        keys = list(keys)
        tried.append(len(keys))
        return real(claim, keys)

    monkeypatch.setattr("tidemill_consumers.adapters.trust.is_proven", counted)
    registry = Registry(ada=[key(1), key(2)])
    trust = Trust(STREAM, registry)
    trust.verified([arrival(1, "ada", key(1))])
    trust.verified([arrival(2, "ada", key(9))])
    assert tried == [2, 2, 0]


def test_without_a_registry_nothing_signed_is_believed() -> None:
    assert problems(Trust().verified([arrival(1, "ada", key(1)), arrival(2, "ada")])) == [NO_REGISTRY, "unsigned"]


def test_without_the_library_neither_and_the_batch_goes_on() -> None:
    class Unable(Registry):
        def read(self, clients: object) -> dict[str, Keys]:
            raise SigningUnavailable

    found = Trust(STREAM, Unable()).verified([arrival(1, "ada", key(1)), arrival(2, "ada")])
    assert problems(found) == ["signatures need the library cryptography: pip install 'tidemill[signing]'", "unsigned"]


def test_a_table_that_cannot_be_read_fails_the_batch() -> None:
    class Broken(Registry):
        def read(self, clients: object) -> dict[str, Keys]:
            raise ConnectionError("no table")

    with pytest.raises(ConnectionError):
        Trust(STREAM, Broken()).verified([arrival(1, "ada", key(1))])


def test_a_sealed_request_needs_no_keys() -> None:
    request = msgspec.structs.replace(arrival(1, "ada").request, writer=EMITTER + "k")
    sealed = SEALS.seal(request)
    emitted = Arrival("s", Position(1, 0), 1000.0, "k", sealed, encode(sealed))
    registry = Registry()
    (found,) = Trust(STREAM, registry, SEALS).verified([emitted])
    assert found == with_request(
        Arrival("s", Position(1, 0), 1000.0, "k", request, encode(sealed), Proof(is_own=True)), request
    )
    assert registry.reads == []


class Store:
    """Where the secret is kept, with a clock."""

    def __init__(self, setting: str) -> None:
        self.setting: str | Exception = setting
        self.now = 0.0
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        if isinstance(self.setting, Exception):
            raise self.setting
        return self.setting


OLD, NEW = "o" * 43, "n" * 43
EMITTED = Request(id="e", cmd="pay", key="k", data={}, writer=f"{EMITTER}1", counter=1)


def stored(store: Store) -> StoredSeals:
    return StoredSeals(STREAM, store.read, lambda: store.now)


def test_a_changed_secret_reaches_an_environment_by_the_first_seal_that_it_does_not_know() -> None:
    store = Store(OLD)
    seals = stored(store)
    store.setting = f"{NEW},{OLD}"
    store.now = RENEWAL_SECONDS
    assert seals.hold(Seals(STREAM, [OLD]).seal(EMITTED))
    assert store.reads == 1, "a seal that holds asks for nothing"
    assert seals.hold(Seals(STREAM, [NEW]).seal(EMITTED))
    assert seals.seal(EMITTED) == Seals(STREAM, [NEW]).seal(EMITTED)
    assert store.reads == 2


def test_forged_seals_have_the_secret_read_once_a_minute_and_no_seal_not_at_all() -> None:
    store = Store(OLD)
    seals = stored(store)
    forged = Seals(STREAM, [NEW]).seal(EMITTED)
    for now, reads in ((0.0, 1), (RENEWAL_SECONDS - 1, 1), (RENEWAL_SECONDS, 2), (RENEWAL_SECONDS + 1, 2)):
        store.now = now
        assert not seals.hold(forged)
        assert store.reads == reads
    store.now = 3 * RENEWAL_SECONDS
    assert not seals.hold(EMITTED)
    assert store.reads == 2


def test_nothing_is_sealed_with_a_secret_that_was_read_more_than_an_hour_ago() -> None:
    store = Store(OLD)
    seals = stored(store)
    store.setting = NEW
    store.now = MOST_AGE_SECONDS - 1
    assert seals.seal(EMITTED) == Seals(STREAM, [OLD]).seal(EMITTED)
    store.now = MOST_AGE_SECONDS
    assert seals.seal(EMITTED) == Seals(STREAM, [NEW]).seal(EMITTED)


@pytest.mark.parametrize("setting", ["", "short", OSError("no network")])
def test_a_secret_that_cannot_be_read_again_stays_and_the_log_does_not_tell_it(
    setting: str | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(OLD)
    seals = stored(store)
    store.setting, store.now = setting, MOST_AGE_SECONDS
    assert seals.seal(EMITTED) == Seals(STREAM, [OLD]).seal(EMITTED)
    assert "cannot read the application's secret again" in caplog.text
    assert OLD not in caplog.text


@pytest.mark.parametrize("setting", ["", "short"])
def test_an_environment_does_not_begin_with_a_secret_that_is_none(setting: str) -> None:
    with pytest.raises(ValueError, match="43 characters"):
        stored(Store(setting))
