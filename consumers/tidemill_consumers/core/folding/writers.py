"""The writers that an entity remembers: the highest counter applied of each.

Room: core. Pure.

A writer takes 16 bytes, so that an entity remembers some dozens without a further write unit. Numbers are big-endian.

    8  a hash of its name; the first bit tells writers of verified clients, so that no other name has their hash
    6  its counter; the first bit tells that this request was quarantined, as it cannot be told from a repeat, and the
       second that a re-send of the writer was applied, so that its first attempt may yet come
    2  a checksum of that request

The oldest come first. What has no room is forgotten to a table (`Forgotten`); a re-send is judged by that table then.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import blake2b

import msgspec

from tidemill.contract.memo import Memo
from tidemill.contract.request import REDRIVE
from tidemill_consumers.core.batch import Arrival, Forgotten, Mark
from tidemill_consumers.core.emits import EMITTERS
from tidemill_consumers.core.fitting import FEW_WRITERS, VERIFIED_WRITERS, room_for_writers
from tidemill_consumers.core.trust import is_of_verified

ENTRY_BYTES = 16

DIGEST_BYTES, COUNTER_BYTES = 8, 6
"""Of a forgotten writer in the table."""

MAX_REDRIVEN = 64
"""Writers of redriven requests, one per request, that are remembered per entity in addition."""

COUNTERS = 2**46
"""Counters below this are remembered. A request with a higher one is known by its id alone, as one without."""

NOT_APPLIED = 2**47
"""The bit of a counter whose request was quarantined, as it cannot be told from a repeat."""

AWAITED = 2**46
"""The bit of a writer of which a re-send was applied, so that its first attempt may yet come, unmarked. Such writers
are forgotten last, and to a part of the table that is asked about first attempts."""

_MARKED = 0x40
"""The first byte of a counter with either bit is at least this."""

_AWAITED_BIT = AWAITED >> 40
"""`AWAITED` in the first byte of a counter."""

LATE_SECONDS = 900.0
"""How much later than its re-send a first attempt may come: AWS refuses what was signed five minutes ago or, by clocks
that are fast, will be signed within five, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html."""

_OF_VERIFIED = 0x80


def _hash(writer: str) -> bytes:
    first, *others = blake2b(writer.encode(), digest_size=8).digest()
    return bytes((first | _OF_VERIFIED if is_of_verified(writer) else first & ~_OF_VERIFIED, *others))


hash_of = Memo(_hash).__getitem__
"""A writer's hash. Memoized, because a writer comes again and again."""


def _of_key(key: str) -> bytes:
    # Another function than the writers': a key may be a writer's name, too.
    first, *others = blake2b(key.encode(), digest_size=8, person=b"key").digest()
    return bytes((first & ~_OF_VERIFIED, *others))


_hash_of_key = Memo(_of_key).__getitem__


def digest_of(key: str, writer: str) -> bytes:
    """A writer of a key in the table of forgotten writers: 8 bytes."""
    return _xor(hash_of(writer), _hash_of_key(key))


def entry(writer: str, counter: int, check: int) -> bytes:
    """A writer as an entity remembers it."""
    return hash_of(writer) + (counter << 16 | check).to_bytes(8)


def checksum(arrival: Arrival) -> int:
    """The checksum of the request's bytes, to tell it from another with the same counter."""
    return zlib.crc32(arrival.encoded) & 0xFFFF


def place_of(entries: bytes, writer: str) -> int:
    """Where a writer's entry begins; -1 if there is none."""
    at = entries.find(hash_of(writer))
    while at % ENTRY_BYTES and at > 0:
        at = entries.find(hash_of(writer), at + 1)
    return at


def number_at(entries: bytes, at: int) -> int:
    """The counter of the entry at a place, with its two bits; -1 if the place is -1."""
    return int.from_bytes(entries[at + 8 : at + 14]) if at >= 0 else -1


def counter_of(entries: bytes, writer: str) -> int:
    """The highest counter that entries have of a writer; -1 if they do not have the writer."""
    number = number_at(entries, place_of(entries, writer))
    return number if number < 0 else number % COUNTERS


def has_awaited(entries: bytes) -> bool:
    """Whether any of the entries is of a writer whose first attempt may yet come."""
    return any(byte & _AWAITED_BIT for byte in entries[8::ENTRY_BYTES])


def awaited_of(gone: Forgotten) -> Forgotten:
    """Those of forgotten writers whose first attempt may yet come, under the shard's name for these alone."""
    places = [place for place, byte in enumerate(gone.counters[::COUNTER_BYTES]) if byte & _AWAITED_BIT]
    digests = b"".join([gone.digests[8 * place : 8 * place + 8] for place in places])
    return Forgotten(
        shard_of_awaited(gone.shard), digests, b"".join([gone.counters[6 * place : 6 * place + 6] for place in places])
    )


def shard_of_awaited(shard: str) -> str:
    """The name under which a shard's batches put writers whose first attempt may yet come, besides the shard's own."""
    return f"{shard}/awaited"


def is_of_awaited(shard: str) -> bool:
    """Whether it is such a name."""
    return shard.endswith("/awaited")


def forgotten(shard: str, key: str, entries: bytes) -> Forgotten:
    """Entries of a key as the table of forgotten writers takes them."""
    words = memoryview(entries).cast("Q")
    hashes, counters = words[::2].tobytes(), bytearray(words[1::2].tobytes())
    del counters[7::8]  # the checksums
    del counters[6::7]
    return Forgotten(shard, _xor(hashes, _hash_of_key(key) * (len(hashes) // 8)), bytes(counters))


class WriterJournal(msgspec.Struct, gc=False):
    """The writers of one entity while a batch is folded over it.

    Attributes:
        before: the entity's writers.
        redriven: its writers of redriven requests.
        forgotten: the arrival up to which it may have forgotten writers.
        awaited: the arrival up to which it may have forgotten writers whose first attempt may yet come.
        newest: each writer's newest arrival, with its counter from before the rule, which may change the request.
        keeps_newest: whether all of this delivery's writers stay in the item, as nothing delivers its requests again.
        resent: the writers of re-sends.
        stay: the writers that stay in the item, of re-sends and of what the table is asked about as well. If the save
            fails, their requests are judged again, and must not find themselves in the table.
        untold: of writers whose newest request was quarantined, because it cannot be told from a repeat, its counter.
        left: the entries of `before` that no newer ones replace, once `after` was called.
    """

    before: bytes = b""
    redriven: bytes = b""
    forgotten: float = 0.0
    awaited: float = 0.0
    keeps_newest: bool = False
    newest: dict[str, tuple[int, Arrival]] = msgspec.field(default_factory=dict)
    resent: AbstractSet[str] = frozenset()
    stay: AbstractSet[str] = frozenset()
    untold: dict[str, int] | None = None
    left: bytes = b""

    def highest(self, writer: str) -> int:
        """The writer's highest counter so far; -1 if the writer is unknown."""
        newest = self.newest.get(writer)
        if newest is not None:
            return newest[0]
        entries = self._of(writer)
        return counter_of(entries, writer) if entries else -1

    def checksum_of_highest(self, writer: str) -> int:
        """The checksum of a known writer's request with the highest counter."""
        newest = self.newest.get(writer)
        if newest is not None:
            return checksum(newest[1])
        entries = self._of(writer)
        at = place_of(entries, writer)
        return int.from_bytes(entries[at + 14 : at + 16])

    def is_judge_of(self, writer: str) -> bool:
        """Whether a higher counter of this writer was surely not applied: its highest is here, and was applied."""
        newest = self.newest.get(writer)
        if newest is not None:
            return self.untold is None or self.untold.get(writer) != newest[0]
        number = number_at(self.before, place_of(self.before, writer))
        return number >= 0 and not number & NOT_APPLIED

    @property
    def is_usual(self) -> bool:
        """Whether first attempts need no `note`: their writers may all leave the item."""
        before = self.before
        return not self.keeps_newest and (not before or max(before[8::ENTRY_BYTES]) < _MARKED)

    def note(self, writer: str, counter: int, arrival: Arrival) -> None:
        """Record a writer's newest arrival, which is applied."""
        self.newest[writer] = counter, arrival
        if arrival.tried is not None:
            self.resent = {*self.resent, writer}
            self.stay = {*self.stay, writer}
        elif self.keeps_newest or self._is_awaited(writer):
            self.stay = {*self.stay, writer}

    def note_untold(self, writer: str, counter: int, arrival: Arrival) -> None:
        """Record a writer's newest arrival, which cannot be told from a repeat."""
        self.note(writer, counter, arrival)
        self.untold = {**(self.untold or {}), writer: counter}

    def after(self) -> bytes:
        """All writers after the fold, oldest first, without those of redriven requests."""
        if len(self.newest) == 1 and len(self.before) <= ENTRY_BYTES:
            ((writer, (counter, arrival)),) = self.newest.items()
            name = hash_of(writer)
            is_its_own = self.before[:8] in (name, b"") and (not self.before or self.before[8] < _MARKED)
            if is_its_own and not self.resent and not writer.startswith(REDRIVE):
                return name + (counter << 16 | checksum(arrival)).to_bytes(8)  # the usual entity's only writer
        left, now = self.before, b""
        for writer, (counter, arrival) in self.newest.items():
            if self.untold is not None and self.untold.get(writer) == counter:
                counter |= NOT_APPLIED
            if writer.startswith(REDRIVE):
                made = entry(writer, counter, checksum(arrival))
                self.redriven = _with(self.redriven, writer, made)[-MAX_REDRIVEN * ENTRY_BYTES :]
                continue
            at = place_of(left, writer)
            is_resent = writer in self.resent and not writer.startswith(EMITTERS)  # of which all are marked
            if is_resent or (at >= 0 and number_at(left, at) & AWAITED):
                counter |= AWAITED
            made = entry(writer, counter, checksum(arrival))
            if at >= 0:
                left = left[:at] + left[at + ENTRY_BYTES :]
            now += made
        self.left = left
        return left + now

    def divided(self, entries: bytes, beside: int) -> tuple[bytes, bytes]:
        """The writers that the entity remembers, and those that it forgets.

        Args:
            entries: what `after` returned.
            beside: bytes of the item's other parts.
        """
        stay = {hash_of(writer) for writer in self.stay if not writer.startswith(REDRIVE)}
        if not stay and max(entries[::ENTRY_BYTES]) < _OF_VERIFIED and max(entries[8::ENTRY_BYTES]) < _MARKED:
            room = room_for_writers(beside, FEW_WRITERS * ENTRY_BYTES) // ENTRY_BYTES * ENTRY_BYTES
            return entries[-room:], entries[:-room]
        every = [entries[at : at + ENTRY_BYTES] for at in range(0, len(entries), ENTRY_BYTES)]
        rank = [(one[:8] in stay, one[0] >= _OF_VERIFIED, one[8] >= _MARKED, place) for place, one in enumerate(every)]
        least = sum([stays for stays, *_ in rank])
        least += min(sum([not stays and is_verified for stays, is_verified, *_ in rank]), VERIFIED_WRITERS)
        room = room_for_writers(beside, max(least, FEW_WRITERS) * ENTRY_BYTES) // ENTRY_BYTES
        rank.sort()
        left = sorted([place for *_, place in rank[-room:]])
        gone = sorted([place for *_, place in rank[:-room]])
        return b"".join([every[place] for place in left]), b"".join([every[place] for place in gone])

    def up_to(self, gone: bytes, marks: Mapping[str, Mark]) -> float:
        """The arrival up to which the entity has forgotten writers, once it forgets these as well.

        Args:
            gone: entries.
            marks: the entity's marks before the fold.
        """
        earlier = [mark.arrived for mark in marks.values()]
        if self.left.startswith(gone):
            return max(self.forgotten, *earlier, 0.0)
        return max(self.forgotten, *earlier, *[arrival.arrived for _, arrival in self.newest.values()])

    def _is_awaited(self, writer: str) -> bool:
        number = number_at(self.before, place_of(self.before, writer))
        return number >= 0 and bool(number & AWAITED)

    def _of(self, writer: str) -> bytes:
        return self.redriven if self.redriven and writer.startswith(REDRIVE) else self.before


def _with(entries: bytes, writer: str, made: bytes) -> bytes:
    at = place_of(entries, writer)
    return entries + made if at < 0 else entries[:at] + entries[at + ENTRY_BYTES :] + made


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
