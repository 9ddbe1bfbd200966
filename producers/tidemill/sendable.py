"""What may be sent: a request is looked at whole before anything of it is kept.

Room: SDK core. No I/O; time and chance are arguments.
"""

from functools import lru_cache
from math import isfinite
from typing import Protocol

import msgspec

from tidemill.request import (
    MAX_DEPTH,
    MAX_KEY_CHARACTERS,
    MAX_REQUEST_BYTES,
    Document,
    Json,
    Key,
    RefusedRequest,
    Request,
    decode_json,
    may_be_deep,
)


class UnsendableRequest(RefusedRequest):
    """A request that the contract does not allow, refused before anything of it was kept.

    Attributes:
        field: what is wrong with it, such as `key` or `data.when`.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


def uuid7(at: int, bits: int) -> str:
    """A UUIDv7 of `at` milliseconds since 1970 and 74 random bits (RFC 9562, section 5.7).

    Not by a library: those read the clock and the system's randomness, and a run that is to be repeated
    exactly has to give both.
    """
    text = f"{bits | 1 << 75:019x}"  # the variant's two bits, 10, before the random ones
    return f"{_time_and_version(at)}{text[16:]}-{text[:4]}-{text[4:16]}"


def _time_and_version(at: int) -> str:
    text = f"{at & (1 << 48) - 1:012x}"
    return f"{text[:8]}-{text[8:]}-7"


class Chance(Protocol):
    """The part of `random.Random` that ids need."""

    def getrandbits(self, k: int, /) -> int:
        """A number of `k` bits."""


class Ids:
    """UUIDv7s of one maker. Those of a millisecond count up from a random one (RFC 9562, section 6.2, method 2).

    Args:
        chance: where the random ones come from.
    """

    __slots__ = ("_at", "_chance", "_last", "_stem")

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._at: int | None = None
        self._stem = ""
        self._last = 0

    def next(self, at: int) -> str:
        """An id of `at` milliseconds since 1970.

        Raises:
            UnsendableRequest: that is no number of milliseconds.
        """
        if at != self._at:
            self._begin(at)
        self._last += 1
        return self._stem + hex(self._last)[2:]

    def _begin(self, at: int) -> None:
        if not isinstance(at, int):
            raise UnsendableRequest("at", f"use a whole number, not {type(at).__name__}")
        text = uuid7(at, self._chance.getrandbits(74))
        # The last 48 bits count. Of these the first is set, so that they have twelve digits, and the next is not, so
        # that no number of ids takes them beyond.
        self._at, self._stem, self._last = at, text[:24], int(text[24:], 16) & ~(1 << 46) | 1 << 47


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Request)
_json_decoder = msgspec.json.Decoder()
_NAMES = {"id": 128, "cmd": 128, "key": MAX_KEY_CHARACTERS, "client": MAX_KEY_CHARACTERS, "writer": 128}


def to_payload(request: Request) -> bytes:
    """The request as its bytes on the stream, which read as exactly that request again.

    Raises:
        UnsendableRequest: they would not, or the contract does not allow it.
    """
    if request.key is None:
        raise UnsendableRequest("key", "give the ordering key, which names the entity")
    try:
        payload = _encoder.encode(request)
        same = _decoder.decode(payload) == request
    except (ValueError, TypeError, RecursionError) as error:
        raise _unsendable(request, error) from None
    if not same:
        raise _unsendable(request, "it does not read back as itself")
    if len(payload) > MAX_REQUEST_BYTES:
        raise UnsendableRequest(
            "data",
            f"the request has {len(payload)} bytes of JSON and may have {MAX_REQUEST_BYTES}; "
            "put what is large into S3 and send its key",
        )
    if may_be_deep(request.data, payload):
        _check_depth(payload)
    return payload


_LARGEST = 2**63 - 1
"""What a counter may be; a clock beyond it, or before 1970, is left to `to_payload`."""


def quick_payload(
    writer: str,
    cmd: str,
    key: str,
    data: Document,
    client: str | None,
    id: str,  # noqa: A002 - the contract's own name
    counter: int,
    at: int,
) -> bytes | None:
    """What `to_payload` makes of a request with an id of `uuid7`, in less time; None where it has to look itself.

    What the requests of one writer have in common is written once.
    """
    if type(data) is not dict or type(at) is not int or not (0 <= at <= _LARGEST and 0 <= counter <= _LARGEST):
        return None
    try:
        before, behind_id, behind_key = _around(writer, cmd, client)
        body = b"{}"
        if data:
            body = _encoder.encode(data)
            if _json_decoder.decode(body) != data:
                return None
        payload = b'%b%b%b%b%b%d,"at":%d,"data":%b}' % (
            before,
            id.encode(),
            behind_id,
            _key_text(key),
            behind_key,
            counter,
            at,
            body,
        )
    except (ValueError, TypeError, RecursionError):
        return None
    if data and (len(payload) > MAX_REQUEST_BYTES or may_be_deep(data, payload)):
        return None
    return payload


@lru_cache(maxsize=1024)
def _around(writer: str, cmd: str, client: str | None) -> tuple[bytes, bytes, bytes]:
    """What stands before the id, between it and the key, and between that and the counter."""
    blank = Request(id="?", cmd=cmd, key="?", client=client, writer=writer, counter=0, at=0, data={})
    # Quotes within texts are escaped, so these are names and values of the request.
    before, _, rest = to_payload(blank).partition(b'?"')
    behind_id, key, rest = rest.partition(b',"key":')
    behind_key, counter, _ = rest.removeprefix(b'"?"').partition(b',"n":')
    return before, b'"' + behind_id + key, behind_key + counter


@lru_cache(maxsize=16_384)
def _key_text(key: str) -> bytes:
    return _encoder.encode(msgspec.convert(key, Key))


def _check_depth(payload: bytes) -> None:
    try:
        decode_json(payload)
    except RefusedRequest as error:
        raise UnsendableRequest("data", f"{error}; send it flatter") from None


def _unsendable(request: Request, problem: Exception | str) -> UnsendableRequest:
    """Which field it is, and what to do."""
    if isinstance(problem, RecursionError):
        return UnsendableRequest("data", f"nested deeper than {MAX_DEPTH} levels, or within itself")
    for name, longest in _NAMES.items():
        value = getattr(request, name)
        if value is None and name in ("client", "writer"):
            continue
        if not _is_text(value) or not 0 < len(value) <= longest:
            return UnsendableRequest(name, f"use text of 1 to {longest} characters")
    for name in ("counter", "at"):
        value = getattr(request, name)
        if not (value is None or isinstance(value, int)):
            return UnsendableRequest(name, f"use a whole number, not {type(value).__name__}")
    data: object = request.data
    if not isinstance(data, dict):
        return UnsendableRequest("data", f"use a dict, not {type(data).__name__}")
    return _first_foreign(data, "data") or UnsendableRequest("request", str(problem))


def _is_text(value: object) -> bool:
    """Whether it is a str that has UTF-8: a lone surrogate has none."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


_REMEDIES = {
    tuple: "use a list",
    bytes: "send text, such as base64",
    float: "JSON has no NaN and no infinity; use null",
    str: "a lone surrogate is not text",
}


def _first_foreign(value: Json, path: str) -> UnsendableRequest | None:
    """What in a value is not plain JSON, by its path such as `data.when`."""
    if value is None or _is_text(value):
        return None
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return None
    if isinstance(value, dict):
        for name, inner in value.items():
            if not _is_text(name):
                return UnsendableRequest(path, f"the name {name!r} is not text; JSON has no other names")
            found = _first_foreign(inner, f"{path}.{name}")
            if found:
                return found
        return None
    if isinstance(value, list):
        inners = (_first_foreign(inner, f"{path}[{index}]") for index, inner in enumerate(value))
        return next((found for found in inners if found), None)
    remedy = _REMEDIES.get(type(value), "use what JSON has: text, numbers, booleans, null, lists, dicts")
    return UnsendableRequest(path, f"{type(value).__name__} is not JSON; {remedy}")
