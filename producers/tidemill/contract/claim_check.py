"""The claim check: data that is too large for a request lies in the content bucket, and the request says where.

Room: contract. No I/O: bytes in, values out.

    "data":{},"ref":{"object":"uploads/{identity}/{sha256}","bytes":81920}

The object holds the data's JSON. Its name states whose it is, and the SHA-256 of its bytes: a request can name its own
client's uploads only, and a signature, which covers `ref` as any other field, covers the data too.
"""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec

from tidemill.contract.places import upload_name
from tidemill.contract.request import MAX_DEPTH, ClaimCheck, Document, Json, RefusedRequest, Request, decode_json

MAX_DATA_BYTES = 5 * 1024 * 1024
"""Largest data in bytes of JSON."""

CLAIM_CHECK = 64 * 1024
"""Default of the bytes of JSON above which a producer with a bucket uploads data."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Document)


def claim_check(client: str, data: bytes) -> ClaimCheck:
    """The claim check of a client's data, given as JSON."""
    return ClaimCheck(upload_name(client, sha256(data).hexdigest()), len(data))


def problem_of(request: Request) -> str | None:
    """Why the request's claim check cannot be honoured; None if it can, as far as can be said without the object."""
    ref = request.ref
    if ref is None:
        return None
    if request.data:
        return "both data and ref: data is empty where ref says where it lies"
    if request.client is None:
        return "a ref, but no client whose upload it could be"
    digest = ref.object.rpartition("/")[2]
    if ref.object != upload_name(request.client, digest):
        return f"its ref is no upload of its client: {ref.object[:200]!r}"
    if not _SHA256.fullmatch(digest):
        return f"its ref has no SHA-256, 64 lower-case hexadecimal digits, but {digest[:80]!r}"
    if ref.bytes > MAX_DATA_BYTES:
        return f"its ref is to {ref.bytes} bytes; data may have {MAX_DATA_BYTES}"
    return None


def read_data(ref: ClaimCheck, found: bytes) -> Document:
    """The data in an upload's bytes.

    Raises:
        RefusedRequest: they are not those that the claim check is for, or no data of a request.
    """
    if len(found) != ref.bytes:
        raise RefusedRequest(f"the upload has {len(found)} bytes, and ref says {ref.bytes}")
    if sha256(found).hexdigest() != ref.object.rpartition("/")[2]:
        raise RefusedRequest("the upload is not what ref says: its SHA-256 is another")
    try:
        data = _decoder.decode(found)
    except RecursionError:
        raise RefusedRequest(_TOO_DEEP) from None
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise RefusedRequest(f"the upload is no data of a request: {error}") from None
    try:
        if _encoder.encode(data) != found:  # else it has no key twice: see request.decode
            decode_json(found)
    except RefusedRequest as error:
        raise RefusedRequest(f"the upload is no data of a request: {error}") from None
    if _is_deeper(data, MAX_DEPTH - 1):
        raise RefusedRequest(_TOO_DEEP)
    return data


_TOO_DEEP = f"the upload is nested deeper than {MAX_DEPTH - 1} levels, which with the request's own are {MAX_DEPTH}"


def _is_deeper(value: Json, most: int) -> bool:
    """Whether a value has more levels of objects and lists. Level by level: large data has a million values."""
    level = [value]
    for _ in range(most):
        within = [one.values() if type(one) is dict else one for one in level]
        level = [child for children in within for child in children if type(child) is dict or type(child) is list]
        if not level:
            return False
    return True
