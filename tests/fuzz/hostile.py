"""Hostile user records and what must become of each, all from one source of chance."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, TypeAlias

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fuzz.kpl import sealed
from tests.fuzz.rules import NO_OUTCOMES, RAISING, SPOILING
from tidemill.contract.aggregation import MAGIC, UserRecord, pack
from tidemill.contract.request import OriginalSignature, Request, encode
from tidemill.contract.signature import Signer

Fate: TypeAlias = Literal["applied", "rejected", "quarantined", "repeat", "either"]
"""Of a repeat nothing more comes; "either" is applied or quarantined."""

RECORD_BYTES = 1024 * 1024
WAVE = "\N{WATER WAVE}"
KEYS_OF_MANY = 8

PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(10)]
PUBLIC = [Signer(key, stream="s").public_key for key in PRIVATE]

REGISTERED = {"ada": PUBLIC[:1], "many": PUBLIC[:KEYS_OF_MANY], "\N{WATER WAVE}" * 256: PUBLIC[:1]}
OVERFULL = "overfull/"
"""How clients' names begin whose items are full of texts."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A user record and what must become of it.

    Attributes:
        key: its partition key.
        payload: its bytes.
        fate: what must become of it.
        id: the request's; None where it is none, or its id is nobody's but the reader's.
        answered: whether somebody must be answered.
        effect: what is counted in its entity if it is applied.
        emits: the keys that it emits to then.
    """

    key: str
    payload: bytes
    fate: Fate
    id: str | None = None
    answered: bool = False
    effect: Literal["add", "track", "delete"] = "add"
    emits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the stream and the user records in it."""

    partition_key: str
    data: bytes
    sent: Sequence[Sent]


def aggregate(sent: Sequence[Sent]) -> Record:
    return Record(sent[0].key or "a", pack(UserRecord(one.key, one.payload) for one in sent), sent)


class Hostile:
    """Makes records of one source.

    Args:
        chance: everything follows from it.
        source: the stream's name, in which sources differ.
        sealed: whether the application has a secret, so that nobody else passes for it.
    """

    def __init__(self, chance: Random, source: str, *, sealed: bool) -> None:
        self.chance = chance
        self.source = source
        self.sealed = sealed
        self.junk = junk(source)
        self._signers = [Signer(key, stream=source) for key in PRIVATE]
        self._made = 0
        self._counter = 0
        self._latest: dict[tuple[str, str], Sent] = {}
        """By key and writer, the last request."""

    # ── What requests are made of ────────────────────────────────────────────────────────────────────────────

    def id(self) -> str:
        self._made += 1
        name = f"{self.source}-{self._made}"
        return name if self.chance.random() < 0.95 else name + WAVE * (128 - len(name))

    def fresh_key(self) -> str:
        self._made += 1
        name = f"{self.source}/{self._made}/"
        return name if self.chance.random() < 0.7 else name + WAVE * (256 - len(name))

    def key(self) -> str:
        """One of a few that all sources write to, or a new one."""
        return f"hot/{self.chance.randrange(8)}" if self.chance.random() < 0.7 else self.fresh_key()

    def client(self) -> tuple[str | None, bool]:
        """A client, and whether it can be answered."""
        names = [
            "phone",
            "b\u00f6b",
            WAVE * 256,
            '"\\',
            "\U0001fffe",
            None,
            "a\x00b",
            "\t",
            "\ufffe",
            "\x7f",
            "\x1b[31m",
        ]
        place = min(self.chance.randrange(30), len(names) - 1) if self.chance.random() < 0.5 else 0
        return names[place], place < 5

    def request(self, cmd: str, fate: Fate, data: dict[str, Any] | None = None, **given: Any) -> Sent:
        """A well-formed request, whatever its command makes of it."""
        client, can_be_answered = self.client()
        effect, emits = given.pop("effect", "add"), given.pop("emits", ())
        self._counter += 1
        fields: dict[str, Any] = {
            "id": self.id(),
            "key": self.key(),
            "client": client,
            "writer": f"{self.source}/{self.chance.randrange(3)}",
            "counter": self._counter,
            "at": self.chance.choice([None, 0, 1_764_000_000_000, -(2**63)]),
        } | given
        if self.chance.random() < 0.1 and "writer" not in given:
            fields["writer"] = fields["counter"] = None
        if self.chance.random() < 0.1 and "writer" not in given:
            fields["depth"] = self.chance.choice([1, 17, 2**63 - 1])  # which counts for nothing
        made = Request(cmd=cmd, data={"s": self.source[-1]} | (data or {}), **fields)
        answered = can_be_answered if "client" not in given else made.client is not None
        sent = Sent(fields["key"], encode(made), fate, made.id, answered, effect, emits)
        if made.writer is not None and made.counter is not None:
            self._latest[sent.key, made.writer] = sent
        return sent

    # ── Small ones ───────────────────────────────────────────────────────────────────────────────────────────

    def small(self) -> Sent:
        kinds: Sequence[tuple[int, Callable[[], Sent]]] = (
            (30, lambda: self.request("add", "applied")),
            (2, lambda: self.request("add", "applied", key=self.fresh_key(), writer=WAVE * 120 + str(self._made))),
            (4, self._repeat),
            (3, self._reused),
            (6, self._unreadable),
            (4, self._foreign),
            (3, self._misrouted),
            (2, lambda: self.request("nobody knows" + WAVE * self.chance.choice([0, 100]), "quarantined")),
            (5, lambda: self.request(self.chance.choice(list(RAISING)), "quarantined")),
            (4, lambda: self.request(self.chance.choice(list(NO_OUTCOMES)), "quarantined")),
            (3, lambda: self.request(self.chance.choice(list(SPOILING)), "quarantined")),
            (2, lambda: self.request("spoil.reject", "rejected")),
            (2, lambda: self.request("spoil.data", "applied")),
            (
                2,
                lambda: self.request("reject", "rejected", {"why": WAVE * 100, "times": self.chance.choice([1, 5000])}),
            ),
            (1, lambda: self.request("reject.surrogate", "rejected")),
            (2, self._answer),
            (2, self._emit),
            (1, self._delete),
            (1, self._fill),
            (4, self._signed),
            (2, self._forged_own),
        )
        return self.chance.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    def _repeat(self) -> Sent:
        """The last of a key and a writer once more, as a producer repeats it."""
        if not self._latest:
            return self.request("add", "applied")
        last = self.chance.choice(list(self._latest.values()))
        return Sent(last.key, last.payload, "repeat")

    def _reused(self) -> Sent:
        """Another body under the counter of the last of a key and a writer."""
        if not self._latest:
            return self.request("add", "applied")
        (key, writer), last = self.chance.choice(list(self._latest.items()))
        counter = msgspec.json.decode(last.payload)["n"]
        self._counter -= 1
        latest = dict(self._latest)
        sent = self.request("add", "quarantined", key=key, writer=writer, counter=counter)
        self._latest = latest
        return sent

    def _foreign(self) -> Sent:
        """No request, and counted all the same."""
        made = [b'{"name":"pageView"}', b'"text"', b"1", b"caf\xc3\xa9", b"\x00", b"null", b"true", b"1" * 4000, b" "]
        return Sent(self.key(), self.chance.choice(made), "applied", effect="track")

    def _unreadable(self) -> Sent:
        """Bytes that mean to be a request and are none."""
        return Sent(self.key(), self.chance.choice(self.junk), "quarantined")

    def _misrouted(self) -> Sent:
        latest = dict(self._latest)
        sent = self.request("add", "quarantined", key=self.fresh_key())
        self._latest = latest
        return Sent(self.key(), sent.payload, "quarantined", sent.id, sent.answered)

    def _answer(self) -> Sent:
        size = self.chance.choice([0, 100, 16_000, 16_382, 16_383, 60_000])
        return self.request("answer", "applied" if size <= 16_382 else "quarantined", {"size": size})

    def _emit(self) -> Sent:
        """To keys of which each has one emitter."""
        key = self.fresh_key()
        times, size = self.chance.choice([(1, 10), (20, 100), (1, 15_000), (40, 10), (1, 17_000), (90, 200)])
        to = f"{key[:200]}>{self.chance.randrange(3)}"
        fate: Fate = "quarantined" if size * times > 16_384 else "either"
        data = {"size": size, "to": to, "times": times, "client": self.client()[0]}
        return self.request("emit", fate, data, key=key, emits=(to,) * times)

    def _delete(self) -> Sent:
        return self.request("delete", "applied", key=f"{self.source}/deleted", effect="delete")

    def _fill(self) -> Sent:
        size = self.chance.choice([1000, 200_000, 250_000, 262_000, 262_144, 300_000])
        fate: Fate = "applied" if size <= 250_000 else "quarantined" if size == 300_000 else "either"
        return self.request("fill", fate, {"size": size}, key=f"full/{self.chance.randrange(3)}")

    def _signed(self) -> Sent:
        """To a rule that takes verified clients only."""
        kind = self.chance.choice(["good", "good", "many", "forged", "cut", "unsigned", "unknown", "overfull"])
        client = {"many": "many", "unknown": "eve", "overfull": f"{OVERFULL}{self.chance.randrange(5)}"}.get(
            kind, "ada"
        )
        fate: Fate = "applied" if kind in ("good", "many") else "quarantined"
        key = f"signed/{self.source}/{self.chance.randrange(5)}"
        sent = self.request("pay", fate, key=key, client=client, writer="w", counter=self._counter + 1)
        del self._latest[key, "w"]
        if kind == "unsigned":
            return sent
        place = {"many": self.chance.randrange(KEYS_OF_MANY), "forged": 9}.get(kind, 0)
        signed = self._signers[place].sign(msgspec.json.decode(sent.payload, type=Request))
        payload = encode(signed) if kind != "cut" else encode(msgspec.structs.replace(signed, sig="A" * 85))
        return Sent(sent.key, payload, fate, sent.id, sent.answered)

    def _forged_own(self) -> Sent:
        """It pretends to be the application's own."""
        own = self.chance.choice(["emit/", "redrive/"]) + self.chance.choice(["", "k", WAVE * 100])
        was = self.chance.choice([None, OriginalSignature("w", 1, "A" * 86)])
        sig = self.chance.choice([None, "A" * 86, "A", "\x00"])
        fate: Fate = "quarantined" if self.sealed or sig is not None else "applied"
        sent = self.request("add", fate, writer=own, counter=1, was=was, sig=sig, key=self.fresh_key())
        del self._latest[sent.key, own]
        return sent

    # ── Records ──────────────────────────────────────────────────────────────────────────────────────────────

    def record(self) -> Record:
        """A small one: plain, an aggregate, or a damaged aggregate."""
        how = self.chance.random()
        if how < 0.4:
            sent = self.small()
            while len(sent.payload) == 0 or not sent.key:
                sent = self.small()
            return Record(sent.key, sent.payload, [sent])
        if how < 0.93:
            return aggregate([self._in_aggregate() for _ in range(self.chance.randint(1, 12))])
        return self._damaged()

    def _in_aggregate(self) -> Sent:
        """Keys that Kinesis would refuse, too."""
        if self.chance.random() < 0.03:
            sent = self.request("add", "quarantined", key="k", writer=None)
            key = self.chance.choice(["", "k" * 257, "k" * 20_000])
            return Sent(key, sent.payload, "quarantined", sent.id, sent.answered)
        return self.small()

    def _damaged(self) -> Record:
        data = bytearray(pack(UserRecord("k", b"x" * self.chance.choice([1, 10, 1000])) for _ in range(3)))
        match self.chance.randrange(4):
            case 0:
                data[self.chance.randrange(4, len(data))] ^= 1 << self.chance.randrange(8)
            case 1:
                data = data[: self.chance.randrange(4, len(data))]
            case 2:
                data = bytearray(sealed(b""))
            case _:
                data = bytearray(sealed(b"\x0a\x01k\x1a\x04\x08\x05\x1a\x00"))
        key = self.fresh_key()
        return Record(key, bytes(data), [Sent(key, bytes(data), "quarantined")])

    def large(self) -> Record:
        """Of up to 1 MiB: as much work as its bytes can be made to cause."""
        return self.chance.choice(LARGE)(self)

    def filled(self, made: Iterator[Sent], size: int | None = None) -> Record:
        """As many as fit, into 1 MiB by default."""
        found: list[Sent] = []
        keys: set[str] = set()
        room = (size or RECORD_BYTES) - 20
        for sent in made:
            room -= len(sent.payload) + 12 + (0 if sent.key in keys else len(sent.key.encode()) + 4)
            keys.add(sent.key)
            if room < 0:
                break
            found.append(sent)
        return aggregate(found)


def junk(source: str) -> list[bytes]:
    """What means to be a request and is none."""
    body = {"v": 1, "id": f"{source}-junk", "cmd": "add", "client": "phone", "data": {"s": "x"}}
    whole = json.dumps(body).encode()

    def changed(**fields: Any) -> bytes:
        return msgspec.json.encode(body | fields)

    return [
        whole[:-1],
        whole.replace(b'"cmd"', b'"cmd":"add","cmd"'),
        whole.replace(b'"x"', b"NaN"),
        whole.replace(b'"x"', b"1e400"),
        whole.replace(b'"x"', b"9" * 5000),
        whole.replace(b'"x"', rb'"\ud800"'),
        whole.replace(b'"x"', b'"\xff"'),
        whole.replace(b'"x"', b"[" * 40 + b"]" * 40),
        whole.replace(b'"x"', b"[" * 100_000 + b"]" * 100_000),
        whole.replace(b'"x"', b'{"a":' * 40_000),
        whole.replace(b"phone", b""),
        whole.replace(b"phone", b"x" * 100_000),
        whole.replace(b"phone", rb"\ud800"),
        b"\xef\xbb\xbf" + whole,
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe\xfd",
        b'{"cmd":"' + b"x" * 300_000,
        changed(id=WAVE * 129),
        changed(id=""),
        changed(id=None),
        changed(cmd=""),
        changed(v=2),
        changed(data=[]),
        changed(data={"s": "x" * 262_144}),
        *(changed(w="w", n=number) for number in (2**63, -1, 1.5, "1", True)),
        changed(key="k" * 257),
        changed(was={"w": 1}),
    ]


def bare(hostile: Hostile, cmd: str, fate: Fate, key: str, **given: Any) -> Sent:
    """As few bytes as a request can have."""
    request_id = given.pop("id", None) or hostile.id()
    emits = given.pop("emits", ())
    data = {"s": hostile.source[-1]} | given.pop("data", {})
    made = Request(id=request_id, cmd=cmd, data=data, **given)
    return Sent(key, encode(made), fate, made.id, made.client is not None, emits=emits)


def empty(hostile: Hostile) -> Record:
    """Empty user records: none is a request."""
    key = hostile.fresh_key()[:20]
    head = b"\x0a" + bytes([len(key.encode())]) + key.encode()
    count = (RECORD_BYTES - 20 - len(head)) // 6
    data = sealed(head + b"\x1a\x04\x08\x00\x1a\x00" * count)
    assert data.startswith(MAGIC)
    return Record(key, data, [Sent(key, b"", "quarantined")] * count)


def foreign(hostile: Hostile) -> Record:
    """Events of one byte, all of one key."""
    key = hostile.fresh_key()[:20]
    return hostile.filled(iter([Sent(key, b"1", "applied", effect="track")] * 149_000), RECORD_BYTES * 2)


def keys(hostile: Hostile) -> Record:
    """As many keys as fit."""
    start = f"{hostile.source[-1]}{hostile._made:x}/"
    hostile._made += 1
    return hostile.filled(Sent(f"{start}{place:x}", b"1", "applied", effect="track") for place in range(100_000))


def long_keys(hostile: Hostile) -> Record:
    """Of 1 KB each."""

    def made() -> Iterator[Sent]:
        while True:
            key = f"{hostile.source}/{hostile._made}/"
            key += WAVE * (256 - len(key))
            yield bare(hostile, "add", "applied", key)

    return hostile.filled(made())


def one_key(hostile: Hostile) -> Record:
    """Requests without writers: each leaves an outcome, of one key."""
    key = hostile.fresh_key()
    return hostile.filled(bare(hostile, "add", "applied", key) for _ in range(100_000))


def long_writers(hostile: Hostile) -> Record:
    """Of 512 bytes each, on one entity that is full besides: its document, its outcomes and what it emits."""
    key = hostile.fresh_key()

    def made() -> Iterator[Sent]:
        yield hostile.request("fill", "either", {"size": 262_000}, key=key, writer=None, counter=None)
        kinds = [""] if hostile.sealed else ["", "emit/", "redrive/"]
        for place in range(100_000):
            writer = (f"{kinds[place % len(kinds)]}{place:x}" + WAVE * 128)[:128]
            cmd, fate, data = hostile.chance.choice(
                [("add", "applied", {}), ("answer", "applied", {"size": 10_000}), ("no one's", "quarantined", {})]
            )
            yield bare(hostile, cmd, fate, key, writer=writer, counter=place, client="phone", data=data)  # type: ignore[arg-type]

    return hostile.filled(made())


def quarantined(hostile: Hostile) -> Record:
    """Requests that can never be applied, each under a key of its own or all under one."""
    one = hostile.chance.choice([None, hostile.fresh_key()])
    cmds = hostile.chance.choice([["?"], list(RAISING), list(NO_OUTCOMES), list(SPOILING)])

    def made() -> Iterator[Sent]:
        for place in range(100_000):
            key = one or f"{hostile.source}-{hostile._made:x}"
            yield bare(hostile, cmds[place % len(cmds)], "quarantined", key, client="phone")

    return hostile.filled(made(), hostile.chance.choice([RECORD_BYTES, RECORD_BYTES // 4]))


def unreadable(hostile: Hostile) -> Record:
    """No requests, of all kinds."""

    hostile.chance.shuffle(hostile.junk)
    short = [payload for payload in hostile.junk if len(payload) < hostile.chance.choice([10, 1000, 20_000])]
    return hostile.filled(Sent(hostile.key(), short[place % len(short)], "quarantined") for place in range(100_000))


def rejected(hostile: Hostile) -> Record:
    """With reasons as long as they may be, of one key."""
    key = hostile.fresh_key()
    data = {"why": WAVE, "times": 1000}
    return hostile.filled(bare(hostile, "reject", "rejected", key, client="phone", data=data) for _ in range(100_000))


def signed(hostile: Hostile) -> Record:
    """By a client that has as many keys as may be: by the last of them, or by none."""
    key = hostile.fresh_key()[:40]
    fate: Fate = hostile.chance.choice(["applied", "quarantined"])
    signer = hostile._signers[KEYS_OF_MANY - 1 if fate == "applied" else 9]
    sent: list[Sent] = []
    for counter in range(RECORD_BYTES // 260):
        request = Request(
            id=hostile.id()[:30],
            cmd="pay",
            key=key,
            client="many",
            writer="v",
            counter=counter,
            data={"s": hostile.source[-1]},
        )
        sent.append(Sent(key, encode(signer.sign(request)), fate, request.id, answered=True))
    return hostile.filled(iter(sent))


def overfull(hostile: Hostile) -> Record:
    """By many clients whose items in the registry are full."""
    key = hostile.fresh_key()[:40]
    sent: list[Sent] = []
    for place in range(RECORD_BYTES // 2600):
        request = Request(
            id=hostile.id(), cmd="add", key=key, client=f"{OVERFULL}{place}", writer="v", counter=1, data={}
        )
        payload = encode(hostile._signers[0].sign(request))
        sent.append(Sent(key, payload, "quarantined", request.id, answered=True))
    return hostile.filled(iter(sent))


def clients(hostile: Hostile) -> Record:
    """Each request is another client's, and some cannot be answered."""

    def made() -> Iterator[Sent]:
        for place in range(100_000):
            odd = hostile.chance.random() < 0.2
            sent = bare(hostile, "add", "applied", f"hot/{place % 8}", client=f"c{place}" + "\x01" * odd)
            yield Sent(sent.key, sent.payload, sent.fate, sent.id, not odd)

    return hostile.filled(made())


def strangers(hostile: Hostile) -> Record:
    """Each request has a key, a client and a writer of its own."""

    def made() -> Iterator[Sent]:
        for place in range(100_000):
            key = f"{hostile.source[-1]}{hostile._made:x}"
            yield bare(hostile, "add", "applied", key, client=key, writer=key, counter=place)

    return hostile.filled(made())


def documents(hostile: Hostile) -> Record:
    """Documents at their limit, changed again and again."""
    key = hostile.fresh_key()

    def made() -> Iterator[Sent]:
        for place in range(2000):
            yield bare(hostile, "fill", "applied", key, writer="v", counter=place, data={"size": 250_000 + place})

    return hostile.filled(made(), RECORD_BYTES // 8)


def emits(hostile: Hostile) -> Record:
    """As many follow-up requests as a few bytes can cause."""
    key = hostile.fresh_key()[:40]
    times, size = hostile.chance.choice([(1, 10), (50, 10), (1, 15_000)])

    def made() -> Iterator[Sent]:
        for counter in range(100_000):
            to = f"{key}>{counter % 5}"
            data = {"size": size, "to": to, "times": times}
            yield bare(
                hostile,
                "emit",
                "applied",
                key,
                writer="v",
                counter=counter,
                data=data,
                client="phone",
                emits=(to,) * times,
            )

    return hostile.filled(made(), RECORD_BYTES // (1 if times * size == 10 else 16))


def answers(hostile: Hostile) -> Record:
    """Answers at their limit, from a few bytes each."""
    key = hostile.fresh_key()

    def made() -> Iterator[Sent]:
        for counter in range(3000):
            yield bare(
                hostile, "answer", "applied", key, writer="v", counter=counter, client="phone", data={"size": 16_000}
            )

    return hostile.filled(made(), RECORD_BYTES // 4)


def payloads(hostile: Hostile) -> Record:
    """A few requests as large as they may be: deep ones, and such with long numbers and many names."""

    def made() -> Iterator[Sent]:
        for junk in ([[1]] * 60_000, {str(place): place for place in range(15_000)}, [10**17] * 12_000, "x" * 250_000):
            yield bare(hostile, "add", "applied", hostile.fresh_key(), data={"junk": junk}, client="phone")

    return hostile.filled(made(), 1024 * 1024)


def corrupt(hostile: Hostile) -> Record:
    """One bit of 1 MiB is another."""
    record = hostile.filled(bare(hostile, "add", "applied", "k") for _ in range(100_000))
    data = bytearray(record.data)
    data[hostile.chance.randrange(4, len(data))] ^= 4
    return Record("k", bytes(data), [Sent("k", bytes(data), "quarantined")])


LARGE: Sequence[Callable[[Hostile], Record]] = (
    *(empty, foreign, keys, long_keys, one_key, long_writers, quarantined, unreadable, rejected),
    *(signed, overfull, clients, strangers, documents, emits, answers, payloads, corrupt),
)
