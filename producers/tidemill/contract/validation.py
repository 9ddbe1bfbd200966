"""Validates requests before they are sent: completely, before any part is kept.

Room: contract. No I/O.
"""

from math import isfinite

import msgspec

from tidemill.contract.claim_check import problem_of
from tidemill.contract.request import (
    MAX_DEPTH,
    MAX_KEY_CHARACTERS,
    MAX_REQUEST_BYTES,
    Json,
    RefusedRequest,
    Request,
    decode_json,
    may_be_deep,
)


class UnsendableRequest(RefusedRequest):
    """A request that the contract does not allow, refused before any part of it was kept.

    Attributes:
        field: the invalid field, such as `key` or `data.when`.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Request)
_NAMES = {"id": 128, "cmd": 128, "key": MAX_KEY_CHARACTERS, "client": MAX_KEY_CHARACTERS, "writer": 128}


def to_payload(request: Request) -> bytes:
    """The request's bytes on the stream, which decode to exactly that request again.

    Raises:
        UnsendableRequest: they would not, or the contract does not allow the request.
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
            "name the content bucket by bucket=, or --bucket of `tidemill send`, and large data is uploaded",
        )
    if problem := problem_of(request):
        raise UnsendableRequest("ref", problem)
    if may_be_deep(request.data, payload):
        _check_depth(payload)
    return payload


def _check_depth(payload: bytes) -> None:
    try:
        decode_json(payload)
    except RefusedRequest as error:
        raise UnsendableRequest("data", f"{error}; send it flatter") from None


def _unsendable(request: Request, problem: Exception | str) -> UnsendableRequest:
    """The error for a request, with the invalid field and a remedy."""
    if isinstance(problem, RecursionError):
        return UnsendableRequest("data", f"nested deeper than {MAX_DEPTH} levels, or within itself")
    for name, longest in _NAMES.items():
        value = getattr(request, name)
        if value is None and name in ("client", "writer"):
            continue
        if not _is_text(value) or not 0 < len(value) <= longest:
            return UnsendableRequest(name, f"use text of 1 to {longest} characters")
    for name in ("counter", "at", "tried", "depth"):
        value = getattr(request, name)
        if not (value is None or isinstance(value, int)):
            return UnsendableRequest(name, f"use a whole number, not {type(value).__name__}")
    data: object = request.data
    if not isinstance(data, dict):
        return UnsendableRequest("data", f"use a dict, not {type(data).__name__}")
    return _first_foreign(data, "data") or UnsendableRequest("request", str(problem))


def _is_text(value: object) -> bool:
    """Whether the value is a str that UTF-8 can encode: one without lone surrogates."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


_REMEDIES = {
    tuple: "use a list",
    bytes: "send text, such as base64",
    float: "JSON has no NaN and no infinity; use null",
    str: "a lone surrogate is not text",
}


def _first_foreign(value: Json, path: str) -> UnsendableRequest | None:
    """The error for the first part of a value that is not plain JSON, with its path, such as `data.when`."""
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
