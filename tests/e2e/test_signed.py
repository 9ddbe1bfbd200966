"""A wallet that only its owner's device may pay from: the whole pipe, with what forgers and an operator put on it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tidemill import Producer, Request
from tidemill.contract.signature import Signer, new_key, registration
from tidemill_consumers.codec.items import from_item
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.operations.redrive import Objects, Wait, Wanted, redrive
from tidemill_local.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come."""

RULES = """
from tidemill_consumers.core.batch import Accepted, Emit, Rejected, Verified

def pay(state, request):
    if request.key != f"wallet/{request.client}":
        return Rejected("not yours")
    return Accepted({**(state or {}), request.id: request.data["amount"]}, emits=(Emit("tip", "wallet/house"),))

def tip(state, request):
    return Accepted({"tips": (state or {}).get("tips", 0) + 1})

RULES = {"pay": Verified(pay), "tip": Verified(tip)}
"""


class Wallets:
    """A platform with such rules, and a producer whose requests are signed or not as the test likes."""

    def __init__(self, platform: Platform, secret: str) -> None:
        self.platform = platform
        self.outputs = platform.outputs
        self.stream = self.outputs["StreamName"]
        self.seals = Seals(self.stream, [secret])
        self.producer = Producer(self.stream, kinesis=platform.emulator.client("kinesis"))

    def register(self, client: str, signer: Signer) -> None:
        dynamodb = self.platform.emulator.client("dynamodb")
        dynamodb.update_item(TableName=self.outputs["DevicesTableName"], **registration(client, signer.public_key))

    def put(self, request: Request) -> None:
        self.producer.put(request).result(LONGEST_WAIT)

    def wait_for(self, key: str, document: dict[str, Any]) -> None:
        deadline = time.monotonic() + LONGEST_WAIT
        while (found := self.document(key)) != document:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def document(self, key: str) -> object:
        item = self.platform.emulator.client("dynamodb").get_item(
            TableName=self.outputs["TableName"], Key={"pk": {"S": key}}, ConsistentRead=True
        )
        return from_item(item["Item"]).document if "Item" in item else None

    def redrive(self) -> None:
        """Put back all there is."""
        objects = Objects(self.platform.emulator.client("s3"), self.outputs["QuarantineBucketName"], seals=self.seals)

        def put(request: Request) -> Wait:
            handle = self.producer.put(request)
            return lambda: None if handle.result(LONGEST_WAIT) else "never"

        found = [one for one in objects.find(Wanted()) if one]
        assert {one.outcome for one in redrive(objects, found, put)} == {"redriven"}


@pytest.fixture
def wallets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wallets]:
    (tmp_path / "wallets.py").write_text(RULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    secret = secrets.token_urlsafe(32)
    given = {"Rules": "wallets", "BatchingWindowSeconds": "0", "ShardCount": "1", "ApplicationSecret": secret}
    with Platform(0, given) as platform:
        made = Wallets(platform, secret)
        with made.producer:
            yield made


def payment(number: int, client: str = "ada", wallet: str = "ada") -> Request:
    return Request(
        id=f"i{number}",
        cmd="pay",
        key=f"wallet/{wallet}",
        client=client,
        writer="w",
        counter=number,
        data={"amount": number},
    )


def test_a_wallet_pays_for_its_owner_only(wallets: Wallets) -> None:
    ada, eve, phone = (Signer.from_pem(new_key(), stream=wallets.stream) for _ in range(3))
    wallets.register("ada", ada)
    wallets.register("eve", eve)
    signed = ada.sign(payment(1))
    wallets.put(signed)
    wallets.put(payment(2))
    wallets.put(eve.sign(payment(3)))
    wallets.put(eve.sign(payment(4, client="eve")))
    wallets.put(msgspec.structs.replace(signed, data={"amount": 1000}))
    wallets.put(msgspec.structs.replace(payment(5), cmd="tip", key="wallet/house", writer="emit/wallet/ada"))
    wallets.put(signed)
    wallets.put(phone.sign(payment(6)))
    wallets.put(ada.sign(payment(7)))
    wallets.wait_for("wallet/ada", {"i1": 1, "i7": 7})
    wallets.wait_for("wallet/house", {"tips": 2})

    wallets.register("ada", phone)
    wallets.redrive()
    wallets.wait_for("wallet/ada", {"i1": 1, "i7": 7, "i6": 6})
    wallets.wait_for("wallet/house", {"tips": 3})
