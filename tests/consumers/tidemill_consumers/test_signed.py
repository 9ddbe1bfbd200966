"""Signed requests from end to end: applied once for the client that they are from, and for nobody else."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, TypeAlias

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.described import STREAM_ARN
from tidemill.contract.aggregation import unpack
from tidemill.contract.claim_check import claim_check
from tidemill.contract.request import REDRIVE, Document, OriginalSignature, ReplyMessage, Request, decode, encode
from tidemill.contract.signature import Signer, deregistration, registration
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.content.uploads import GONE, Uploads
from tidemill_consumers.adapters.devices import Devices
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.adapters.trust import Trust
from tidemill_consumers.apply import apply
from tidemill_consumers.composition import Application
from tidemill_consumers.core.batch import Accepted, Emit, Entity, Rule, State, Verified
from tidemill_consumers.core.emits import EMITTER
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.operations.redrive import Objects, Wait, Wanted, oldest_first, redrive
from tidemill_local.emulator import Emulator

Heard: TypeAlias = Callable[[], list[ReplyMessage]]

SECRET = "s" * 43
ADAS, EVES = (Ed25519PrivateKey.from_private_bytes(name * 32) for name in (b"a", b"e"))
NOT_SEALED = "its writer is the application's own, but it does not bear the application's seal"
BY_NONE = "signed, by none of the keys registered for 'ada'"


def append(state: State, request: Request) -> Accepted:
    return Accepted({"ids": [*(state or {"ids": []})["ids"], request.id]})


def explode(state: State, request: Request) -> Accepted:
    raise RuntimeError("boom")


def tell(state: State, request: Request) -> Accepted:
    return Accepted(state, emits=(Emit("pay", "k", {"from": request.id}),))


@dataclass
class Stack:
    """An application with a registry in which ada's key stands and eve's, and what happens to it."""

    emulator: Emulator
    app: Application
    stream: str
    bucket: str
    registry: str
    heard: Heard
    numbers: Any = field(default_factory=lambda: count(1))

    def signer(self, key: Ed25519PrivateKey = ADAS, stream: str | None = None) -> Signer:
        return Signer(key, stream=stream or self.stream)

    def deliver(self, *requests: Request | bytes, key: str = "k") -> dict[str, str]:
        """In one batch, behind what came before; the statuses that were told, by id."""
        records: Any = [self._record(one if isinstance(one, bytes) else encode(one), key) for one in requests]
        assert apply({"Records": records}, self.app)["batchItemFailures"] == []
        return {reply.id: reply.status for message in self.heard() for reply in message.replies}

    def _record(self, data: bytes, key: str) -> Any:
        sequence = next(self.numbers)
        return {
            "eventID": f"shardId-000000000000:{sequence}",
            "eventSourceARN": STREAM_ARN.replace("/requests", f"/{self.stream}"),
            "kinesis": {
                "partitionKey": key,
                "sequenceNumber": str(sequence),
                "data": b64encode(data).decode(),
                "approximateArrivalTimestamp": 1545084650.0 + sequence,
            },
        }

    @property
    def document(self) -> Document | None:
        return self.app.entities.load(["k"]).get("k", Entity("k")).document

    @property
    def reasons(self) -> list[str]:
        """Of what lies in the quarantine, oldest first."""
        found = oldest_first(one for one in self.objects().find(Wanted()) if one)
        return [one.kept.reason for one in found if one.kept]

    def objects(self, *, secret: str | None = SECRET) -> Objects:
        seals = Seals(self.stream, [secret]) if secret else None
        return Objects(self.emulator.client("s3"), self.bucket, seals=seals)

    def redriven(self, **given: Any) -> list[Request]:
        """What an operator puts back; the objects are moved."""
        put: list[Request] = []

        def keep(request: Request) -> Wait:
            put.append(request)
            return lambda: None

        objects = self.objects(**given)
        done = list(redrive(objects, oldest_first(one for one in objects.find(Wanted()) if one), keep))
        assert {one.outcome for one in done} <= {"redriven"}
        return put

    def emitted(self) -> list[bytes]:
        """What stands on the stream."""
        kinesis = self.emulator.client("kinesis")
        (shard,) = kinesis.list_shards(StreamName=self.stream)["Shards"]
        start = kinesis.get_shard_iterator(
            StreamName=self.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
        return [one.data for found in records for one in unpack(found["Data"])]

    def register(self, client: str, signer: Signer, change: Callable[[str, str], Any] = registration) -> None:
        self.emulator.client("dynamodb").update_item(TableName=self.registry, **change(client, signer.public_key))


RULES: dict[str, Rule] = {
    "pay": Verified(append),
    "append": append,
    "explode": Verified(explode),
    "tell": tell,
}


@pytest.fixture
def stack(
    emulator: Emulator,
    table: str,
    forgotten_table: str,
    bucket: str,
    topic: str,
    stream: str,
    heard: Heard,
    make_table: Callable[[str], str],
) -> Stack:
    registry = make_table("devices")
    dynamodb = emulator.client("dynamodb")
    seals = Seals(stream, [SECRET])
    app = Application(
        rules=RULES,
        retention=86_400.0,
        entities=Entities(dynamodb, table),
        quarantine=Quarantine(emulator.client("s3"), bucket),
        objects=ObjectStore(emulator.client("s3"), bucket, 86_400.0),
        replies=Replies(emulator.client("sns"), topic),
        emits=Emits(emulator.client("kinesis"), stream, pause=lambda seconds: None, seals=seals),
        streams=Streams(emulator.client("kinesis"), stream),
        forgotten=ForgottenWriters(dynamodb, forgotten_table, 3600.0),
        trust=Trust(stream, Devices(dynamodb, registry), seals),
    )
    made = Stack(emulator, app, stream, bucket, registry, heard)
    made.register("ada", made.signer())
    made.register("eve", made.signer(EVES))
    return made


def without_secret(stack: Stack) -> Stack:
    app = stack.app
    emits = Emits(stack.emulator.client("kinesis"), stack.stream, pause=lambda seconds: None)
    return replace(stack, app=replace(app, emits=emits, trust=replace(app.trust, seals=None)))


def request(n: int, cmd: str = "pay", client: str = "ada", writer: str = "w") -> Request:
    return Request(id=f"i{n}", cmd=cmd, key="k", client=client, writer=writer, counter=n, data={"n": n})


def changed(one: Request, **changes: Any) -> Request:
    return msgspec.structs.replace(one, **changes)


def test_a_signed_request_is_applied_once_however_often_it_is_put(stack: Stack) -> None:
    signed = stack.signer().sign(request(1))
    assert stack.deliver(signed, stack.signer().sign(request(2)), signed) == {"i1": "accepted", "i2": "accepted"}
    assert stack.deliver(signed) == {}, "it was answered before"
    assert stack.document == {"ids": ["i1", "i2"]}
    assert stack.reasons == []


def test_a_redelivery_is_answered_alike_even_if_the_key_is_gone_since(stack: Stack) -> None:
    signed = encode(stack.signer().sign(request(1)))
    stack.numbers = count(1)
    assert stack.deliver(signed) == {"i1": "accepted"}
    stack.register("ada", stack.signer(), deregistration)
    stack.numbers = count(1)
    assert stack.deliver(signed) == {"i1": "accepted"}
    assert stack.document == {"ids": ["i1"]}


def test_what_must_be_signed_and_is_not_goes_to_quarantine(stack: Stack) -> None:
    assert stack.deliver(request(1), request(2, "append")) == {"i1": "quarantined", "i2": "accepted"}
    assert stack.document == {"ids": ["i2"]}
    assert stack.reasons == ["unsigned, and pay takes requests of verified clients only"]


def test_what_need_not_be_signed_may_be(stack: Stack) -> None:
    assert stack.deliver(stack.signer().sign(request(1, "append"))) == {"i1": "accepted"}


@pytest.mark.parametrize("cmd", ["pay", "append"])
def test_a_forged_one_is_quarantined_and_does_the_client_no_harm(stack: Stack, cmd: str) -> None:
    genuine = stack.signer().sign(request(1, cmd))
    forged = [
        stack.signer(EVES).sign(request(1, cmd)),
        stack.signer(EVES).sign(request(2**45, cmd)),
        stack.signer(stream="other").sign(request(1, cmd)),
        changed(genuine, id="i9"),
        changed(genuine, counter=9),
        changed(genuine, writer="v"),
        changed(genuine, client="eve"),
        changed(genuine, data={"n": 9}),
        changed(genuine, sig=(genuine.sig or "")[:-2]),
        changed(genuine, sig="A" * 86),
    ]
    assert set(stack.deliver(*forged).values()) == {"quarantined"}
    assert stack.document is None
    assert len(stack.reasons) == len(forged)
    # Nobody has used up the counters of ada's writer, nor has an unsigned request that names it.
    stack.deliver(request(2**45, "append"))
    assert stack.deliver(genuine, stack.signer().sign(request(2, cmd))) == {"i1": "accepted", "i2": "accepted"}
    assert stack.document == {"ids": [f"i{2**45}", "i1", "i2"]}


def with_uploads(stack: Stack) -> tuple[Stack, Any]:
    s3 = stack.emulator.client("s3")
    s3.create_bucket(Bucket=f"{stack.bucket}-content")
    return replace(stack, app=replace(stack.app, uploads=Uploads(s3, f"{stack.bucket}-content"))), s3


def test_large_data_is_signed_by_its_hash_and_redriven_once_it_is_there(stack: Stack) -> None:
    stack, s3 = with_uploads(stack)
    mine, others = b'{"n":1}', b'{"n":2}'
    ref = claim_check("ada", mine)
    signed = stack.signer().sign(changed(request(1), data={}, ref=ref))
    forged = changed(signed, ref=claim_check("ada", others))
    assert stack.deliver(forged) == {"i1": "quarantined"}
    assert stack.deliver(signed) == {"i1": "quarantined"}
    assert stack.reasons == ["signed, by none of the keys registered for 'ada'", GONE]
    s3.put_object(Bucket=f"{stack.bucket}-content", Key=ref.object, Body=mine)
    assert stack.deliver(*stack.redriven()) == {"i1": "accepted"}
    assert stack.document == {"ids": ["i1"]}


def test_a_verified_client_is_no_other(stack: Stack) -> None:
    stack.deliver(stack.signer(EVES).sign(request(7, client="eve")))
    assert stack.deliver(stack.signer().sign(request(1))) == {"i1": "accepted"}, "their writers have the same name"
    assert stack.document == {"ids": ["i7", "i1"]}


def test_a_device_sends_as_soon_as_it_is_registered(stack: Stack) -> None:
    phone = stack.signer(Ed25519PrivateKey.generate())
    assert stack.deliver(stack.signer().sign(request(1)), phone.sign(request(2))) == {
        "i1": "accepted",
        "i2": "quarantined",
    }
    stack.register("ada", phone)
    assert stack.deliver(phone.sign(request(3))) == {"i3": "accepted"}
    assert stack.reasons == [BY_NONE]


# ---- what the application emits


def test_what_it_emits_is_its_word(stack: Stack) -> None:
    stack.deliver(changed(request(1, "tell"), key="other"), key="other")
    (emitted,) = stack.emitted()
    stack.deliver(emitted)
    assert stack.document == {"ids": [decode(emitted).id]}


def emitting_for(stack: Stack, client: Callable[[Request], str | None], cmd: str = "pay", depth: int = 1) -> Stack:
    """Whose rule emits a request for a client, through others that emit in their turn."""

    def emit(state: State, request: Request) -> Accepted:
        left = request.data.get("left", depth)
        data = {"from": request.id, "left": left - 1}
        return Accepted(state, emits=(Emit("emit" if left > 1 else cmd, "k", data, client(request)),))

    return replace(stack, app=replace(stack.app, rules={**RULES, "emit": emit}))


def follow(stack: Stack) -> None:
    """Deliver what is emitted, until nothing new is."""
    seen: list[bytes] = []
    while left := [one for one in stack.emitted() if one not in seen]:
        seen += left
        stack.deliver(*left)


UNPROVEN = "sealed, but nobody has proven its client, and pay takes requests of verified clients only"


@pytest.mark.parametrize("depth", [1, 3])
def test_an_emit_for_a_client_that_nobody_proved_proves_nothing(stack: Stack, depth: int) -> None:
    chain = emitting_for(stack, lambda request: request.client, depth=depth)
    chain.deliver(request(1, "emit", client="ada"))
    follow(chain)
    assert (chain.document, chain.reasons) == (None, [UNPROVEN])
    # Redriving changes nothing of that.
    chain.deliver(*chain.redriven())
    assert (chain.document, chain.reasons) == (None, [UNPROVEN])


@pytest.mark.parametrize("depth", [1, 3])
def test_an_emit_for_the_client_that_its_cause_proved_is_proven(stack: Stack, depth: int) -> None:
    chain = emitting_for(stack, lambda request: request.client, depth=depth)
    chain.deliver(stack.signer().sign(request(1, "emit")))
    follow(chain)
    assert (len((chain.document or {"ids": []})["ids"]), chain.reasons) == (1, [])


def test_an_emit_for_another_than_its_cause_s_client_proves_nothing(stack: Stack) -> None:
    other = emitting_for(stack, lambda request: "eve")
    other.deliver(stack.signer().sign(request(1, "emit")))
    follow(other)
    assert (other.document, other.reasons) == (None, [UNPROVEN])


def test_an_emit_for_nobody_is_the_application_s_word_whatever_its_cause(stack: Stack) -> None:
    word = emitting_for(stack, lambda request: None)
    word.deliver(request(1, "emit"), stack.signer().sign(request(2, "emit")))
    follow(word)
    assert (len((word.document or {"ids": []})["ids"]), word.reasons) == (2, [])


def test_other_rules_take_an_emit_for_a_client_that_nobody_proved(stack: Stack) -> None:
    plain = emitting_for(stack, lambda request: request.client, cmd="append")
    plain.deliver(request(1, "emit"))
    follow(plain)
    assert (len((plain.document or {"ids": []})["ids"]), plain.reasons) == (1, [])


def test_a_proven_emit_that_its_rule_could_not_take_is_proven_when_it_is_redriven(stack: Stack) -> None:
    chain = emitting_for(stack, lambda request: request.client, cmd="explode")
    chain.deliver(stack.signer().sign(request(1, "emit")))
    follow(chain)
    assert len(chain.reasons) == 1
    mended = replace(chain, app=replace(chain.app, rules={**RULES, "explode": Verified(append)}))
    mended.deliver(*mended.redriven())
    assert (len((mended.document or {"ids": []})["ids"]), mended.reasons) == (1, [])


def test_nobody_emits_in_its_name(stack: Stack) -> None:
    stack.deliver(changed(request(1, "tell"), key="other"), key="other")
    (emitted,) = stack.emitted()
    genuine = decode(emitted)
    forged = [
        changed(genuine, sig=None),
        changed(genuine, sig=None, counter=2**45),
        changed(genuine, counter=2**45),
        stack.signer(EVES).sign(changed(genuine, client="eve")),
        Request(id="f", cmd="append", key="k", client="eve", writer=EMITTER + "other", counter=1, data={}),
    ]
    assert set(stack.deliver(*forged).values()) == {"quarantined"}
    assert stack.document is None
    assert stack.reasons == [NOT_SEALED] * len(forged)
    stack.deliver(emitted)
    assert stack.document == {"ids": [genuine.id]}


def test_without_a_secret_emits_are_anybodys(stack: Stack) -> None:
    plain = without_secret(stack)
    plain.deliver(changed(request(1, "tell"), key="other"), key="other")
    (emitted,) = plain.emitted()
    assert decode(emitted).sig is None
    plain.deliver(emitted)
    assert plain.reasons == ["unsigned, and pay takes requests of verified clients only"]


# ---- what is redriven


def test_a_redriven_request_is_still_its_clients_and_applied_once(stack: Stack) -> None:
    first, second = (stack.signer().sign(request(n)) for n in (1, 2))
    stack.register("ada", stack.signer(), deregistration)
    # The producer has put the first one twice, for it has heard nothing. None of it is known yet.
    assert stack.deliver(first, first, second) == {"i1": "quarantined", "i2": "quarantined"}
    stack.register("ada", stack.signer())
    put_back = stack.redriven()
    assert stack.deliver(*put_back) == {"i1": "accepted", "i2": "accepted"}
    assert stack.document == {"ids": ["i1", "i2"]}
    assert stack.deliver(*put_back) == {"i1": "accepted", "i2": "accepted"}
    assert stack.document == {"ids": ["i1", "i2"]}
    assert stack.reasons == []


def test_one_that_its_rule_could_not_take_too(stack: Stack) -> None:
    stack.deliver(stack.signer().sign(request(1, "explode")), stack.signer().sign(request(2)))
    mended = replace(stack, app=replace(stack.app, rules={**RULES, "explode": Verified(append)}))
    assert mended.deliver(*mended.redriven()) == {"i1": "accepted"}
    assert mended.document == {"ids": ["i2", "i1"]}


def test_an_emit_that_is_redriven_is_still_its_word(stack: Stack) -> None:
    stack.deliver(changed(request(1, "tell"), key="other"), key="other")
    stuck = replace(stack, app=replace(stack.app, rules={"pay": Verified(explode)}))
    stuck.deliver(*stack.emitted())
    assert len(stack.reasons) == 1
    stack.deliver(*stack.redriven())
    assert stack.document == {"ids": [decode(stack.emitted()[0]).id]}


def test_redriving_makes_nothing_genuine(stack: Stack) -> None:
    stack.deliver(stack.signer(EVES).sign(request(1)), request(2), changed(request(3, "append"), writer=EMITTER + "x"))
    before = stack.reasons
    put_back = stack.redriven()
    assert stack.deliver(*put_back)["i1"] == "quarantined"
    assert stack.reasons == before[:2]
    assert stack.document == {"ids": ["i3"]}, "which asks for no proof; its sender might have sent it as it is"


def test_what_was_applied_does_not_come_again_under_a_writer_made_up(stack: Stack) -> None:
    signed = stack.signer().sign(request(1))
    stack.deliver(signed)
    was = OriginalSignature("w", 1, signed.sig or "")
    replayed = [
        changed(signed, writer=REDRIVE + "s-9-0", counter=1, was=was),
        changed(signed, writer=REDRIVE + "s-9-0", counter=1, was=was, sig=None),
        changed(signed, writer=REDRIVE + "s-9-0", counter=1),
        stack.signer(EVES).sign(changed(signed, writer=REDRIVE + "s-9-0", counter=1, was=was)),
    ]
    assert stack.deliver(*replayed) == {"i1": "quarantined"}
    assert stack.reasons == [NOT_SEALED] * len(replayed)
    # Nor does an operator make it genuine who puts back all there is.
    stack.deliver(*stack.redriven())
    assert stack.document == {"ids": ["i1"]}


def test_without_a_secret_signed_requests_stay_where_they_are(stack: Stack) -> None:
    stack.deliver(stack.signer().sign(request(1, "explode")), request(2, "unknown"))
    assert [one.id for one in stack.redriven(secret=None)] == ["i2"]
    (left,) = [one for one in stack.objects(secret=None).find(Wanted()) if one]
    assert left.problem
    assert "give the application's secret" in left.problem


def test_what_another_language_wrote_otherwise_cannot_be_redriven_and_says_so(stack: Stack) -> None:
    """Its bytes are written anew then, and its signature is of the old ones."""
    body = encode(request(1, "explode")).replace(b'"data"', b' "data"')
    signer = stack.signer(EVES)  # quarantined either way
    sig = signer.sign(request(1, "explode")).sig or ""
    stack.deliver(body[:-1] + b',"sig":"' + sig.encode() + b'"}')
    (left,) = [one for one in stack.objects().find(Wanted()) if one]
    assert left.problem == "signed, but not written as the SDK writes it: its signature would not hold again"
    assert stack.redriven() == []


def test_the_quarantine_keeps_what_was_signed(stack: Stack) -> None:
    signed = stack.signer().sign(request(1, "explode"))
    stack.deliver(signed)
    s3 = stack.emulator.client("s3")
    (entry,) = s3.list_objects_v2(Bucket=stack.bucket)["Contents"]
    kept = json.load(s3.get_object(Bucket=stack.bucket, Key=entry["Key"])["Body"])
    assert kept["payload"] == b64encode(encode(signed)).decode()


def test_what_one_delivery_cannot_look_at_is_delivered_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.adapters.trust.MAX_TRIED", 0)
    records: Any = [stack._record(encode(stack.signer().sign(request(n))), "k") for n in range(1, 4)]
    for begun in range(3):
        again = apply({"Records": records[begun:]}, stack.app)["batchItemFailures"]
        assert again == [{"itemIdentifier": str(n)} for n in range(begun + 2, 4)][:1]
        assert stack.document == {"ids": [f"i{n}" for n in range(1, begun + 2)]}
