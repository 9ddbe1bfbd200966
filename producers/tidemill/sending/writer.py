"""The writer: gives a producer's requests their ids and counters, and encodes them.

Room: SDK core. No I/O; time and chance are arguments.

    draft ─ any thread, at any time, even while it interrupts another draft ─▶ the request without its counter
    finish ─ one thread at a time, in the order of the stream ─▶ the request's bytes
"""

from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec

from tidemill.contract.request import (
    MAX_DEPTH,
    MAX_KEY_CHARACTERS,
    ClaimCheck,
    Document,
    Request,
    may_be_deep,
)
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.sending.claims import MOST_WITHIN, check_size

MAX_COUNTER = 2**62
"""The highest counter that a writer may begin with; the contract's is twice that."""


class Chance(Protocol):
    """The part of `random.Random` that ids need."""

    def getrandbits(self, k: int, /) -> int:
        """A number of `k` bits."""


Draft: TypeAlias = tuple[str, str, bytes]
"""A request without its counter: its id, the text before the counter, and the bytes after it."""


class _Millisecond(NamedTuple):
    """The common parts of one millisecond's requests. Replaced whole, so an interrupting draft never sees a part."""

    at: int | None
    stem: str
    first: int
    behind_counter: bytes
    without_data: bytes


class Writer:
    """Makes the requests of one writer: ids that rise, counters that rise by one.

    The ids are UUIDv7s; those of a millisecond count up from a random one (RFC 9562, section 6.2, method 2).

    Args:
        id: the writer id.
        chance: the source of the ids' random bits.
        counter: the highest counter that it has used.
        client: the sender of requests that name no other.
        claim_check: the bytes of data's JSON above which data is to be uploaded; None: it never is.

    Attributes:
        id: the writer id.
        counter: the highest counter that it has used.

    Raises:
        ValueError: the counter is out of its range.
    """

    __slots__ = (
        "_chance",
        "_claim_check",
        "_ids",
        "_millisecond",
        "_own_client",
        "_short",
        "_usual",
        "counter",
        "id",
    )

    def __init__(
        self,
        id: str,  # noqa: A002 - the contract's own name
        chance: Chance,
        counter: int = 0,
        client: str | None = None,
        claim_check: int | None = None,
    ) -> None:
        if not 0 <= counter <= MAX_COUNTER:
            raise ValueError(f"counter={counter}: use 0 to {MAX_COUNTER}")
        self.id = id
        self.counter = counter
        self._chance = chance
        self._own_client = client
        self._claim_check = claim_check
        self._short = MOST_WITHIN if claim_check is None else claim_check + 1
        self._ids = count()
        self._millisecond: _Millisecond = _NEVER
        self._usual: tuple[Any, Any, Any] = (_NOBODY, _NOBODY, None)
        """The last command and client, which often repeat, and the result of `_around` for them."""

    def write(
        self,
        cmd: str,
        key: str,
        data: Document | None,
        client: str | None,
        id: str | None,  # noqa: A002 - the contract's own name
        at: int,
        traceparent: str | None = None,
    ) -> tuple[str, bytes]:
        """The id and the bytes of the next request: a draft, finished at once."""
        made, before, behind = self.draft(cmd, key, data, client, id, at, traceparent)
        return made, self.finish(before, behind)

    def draft(
        self,
        cmd: str,
        key: str,
        data: Document | ClaimCheck | None,
        client: str | None,
        id: str | None,  # noqa: A002 - the contract's own name
        at: int,
        traceparent: str | None = None,
    ) -> Draft:
        """The next request, without its counter.

        Returns the same as `_draft`, in half of the time if the request has no id of its own, is not traced, and is
        short and not deep, as most are. A property test holds the two equal. (Benchmarks `producer_vs_put_record`,
        `…_records`.)

        Args:
            cmd: the command.
            key: the ordering key.
            data: the command's data, or the claim check of data that was uploaded; None for none.
            client: the sender; None is the writer's client.
            id: the request's id; None makes a UUIDv7.
            at: the client's clock, milliseconds since 1970.
            traceparent: the span of sending it; None if it is not traced.

        Raises:
            ToUpload: the data is to be uploaded first; no counter is used up.
            UnsendableRequest: the contract does not allow it; no counter is used up.
        """
        if id is None:
            begun, stem, first, behind_counter, without_data = self._millisecond
            if type(at) is not int or at != begun:
                _, stem, first, behind_counter, without_data = self._begin(at)
            id = f"{stem}{first + next(self._ids):x}"  # noqa: A001 - likewise
            if traceparent is not None:
                return self._draft(cmd, key, data, client, id, at, traceparent)
            try:
                # The text that requests share is encoded once.
                last_cmd, last_client, around = self._usual
                if cmd is not last_cmd or client is not last_client:
                    around = _around(self.id, cmd, self._own_client if client is None else client)
                    self._usual = cmd, client, around
                start, behind_id, behind_key = around
                if type(key) is str and 0 < len(key) <= MAX_KEY_CHARACTERS:
                    before = f"{start}{id}{behind_id}{_encode(key).decode()}{behind_key}"
                    if data is None:
                        return id, before, without_data
                    body = _encode(data)
                    if (
                        type(data) is dict
                        and len(body) < self._short
                        and _decode(body) == data
                        and (body.count(b"{") + body.count(b"[") < MAX_DEPTH or not may_be_deep(data, b"{" + body))
                    ):
                        return id, before, behind_counter + body + b"}"
            except (ValueError, TypeError, RecursionError):
                pass  # `_draft` says what is wrong
        return self._draft(cmd, key, data, client, id, at, traceparent)

    def _draft(
        self,
        cmd: str,
        key: str,
        data: Document | ClaimCheck | None,
        client: str | None,
        id: str,  # noqa: A002 - the contract's own name
        at: int,
        traceparent: str | None,
    ) -> Draft:
        """The next request as `to_payload` writes it, without its counter."""
        counter = self.counter + 1
        ref = data if isinstance(data, ClaimCheck) else None
        request = Request(
            id=id,
            cmd=cmd,
            key=key,
            client=self._own_client if client is None else client,
            writer=self.id,
            counter=counter,
            at=at,
            traceparent=traceparent,
            data={} if data is None or isinstance(data, ClaimCheck) else data,
            ref=ref,
        )
        if self._claim_check is not None:
            check_size(request, self._claim_check)
        text = to_payload(request).decode()
        before, name, behind = text.partition(_COUNTER)
        return id, before + name, behind.removeprefix(str(counter)).encode()

    def finish(self, before: str, behind: bytes) -> bytes:
        """Gives a draft the writer's next counter. Returns the request's bytes."""
        self.counter = counter = self.counter + 1
        return f"{before}{counter}".encode() + behind

    def skip_to(self, counter: int) -> None:
        """Notes that a request with this counter was made elsewhere: the next counter is higher.

        Raises:
            UnsendableRequest: too few counters would remain.
        """
        if counter > MAX_COUNTER:
            raise UnsendableRequest("counter", f"use 0 to {MAX_COUNTER}, for its writer goes on from there")
        self.counter = max(self.counter, counter)

    def _begin(self, at: int) -> _Millisecond:
        """Begins another millisecond."""
        if type(at) is not int:
            raise UnsendableRequest("at", f"use a whole number, not {type(at).__name__}")
        if not -(2**63) <= at < 2**63:
            raise UnsendableRequest("at", "use milliseconds since 1970")
        text = uuid7(at, self._chance.getrandbits(74))
        # The last 48 bits count up. Their first bit is set, so that they have twelve digits. The next is cleared, so
        # that counting never overflows them.
        first = (int(text[24:], 16) & ~(1 << 46) | 1 << 47) - next(self._ids)
        self._millisecond = begun = _Millisecond(
            at, text[:24], first, b',"at":%d,"data":' % at, b',"at":%d,"data":{}}' % at
        )
        return begun


def uuid7(at: int, bits: int) -> str:
    """A UUIDv7 of `at` milliseconds since 1970 and 74 random bits (RFC 9562, section 5.7).

    Libraries do not fit: they read the clock and the system's randomness, and a reproducible run has to supply both.
    """
    time = f"{at & (1 << 48) - 1:012x}"
    text = f"{bits | 1 << 75:019x}"  # the variant's two bits, 10, before the random ones
    return f"{time[:8]}-{time[8:]}-7{text[16:]}-{text[:4]}-{text[4:16]}"


_NEVER: Any = (None,) * len(_Millisecond._fields)
"""Equal to no millisecond: the first request begins one."""

_NOBODY: Any = object()
"""Identical to no command and no client."""

_COUNTER = ',"n":'
"""The text before the counter. It occurs nowhere earlier, because quotes within strings are escaped."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@lru_cache(maxsize=1024)
def _around(writer: str, cmd: str, client: str | None) -> tuple[str, str, str]:
    """The texts before the id, between the id and the key, and between the key and the counter."""
    blank = Request(id="?", cmd=cmd, key="?", client=client, writer=writer, counter=0, data={})
    # Quotes within texts are escaped, so these are names and values of the request.
    before, _, rest = to_payload(blank).decode().partition('?"')
    behind_id, key, rest = rest.partition(',"key":')
    behind_key, counter, _ = rest.removeprefix('"?"').partition(_COUNTER)
    return before, '"' + behind_id + key, behind_key + counter
