"""Decides which data is too large to travel within its request, before anything is uploaded or kept.

Room: SDK core. No I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.contract.claim_check import MAX_DATA_BYTES, claim_check, read_data
from tidemill.contract.request import MAX_OBJECT_CHARACTERS, MAX_REQUEST_BYTES, RefusedRequest
from tidemill.contract.validation import UnsendableRequest, to_payload

if TYPE_CHECKING:
    from tidemill.contract.request import ClaimCheck, Request

MOST_WITHIN = MAX_REQUEST_BYTES - 8 * 1024
"""Data of fewer bytes surely fits: names and keys have 900 characters at most, of six bytes each."""

_encode = msgspec.json.Encoder().encode


class ToUpload(BaseException):
    """A request's data is too large: it is to be uploaded, and the request sent with its claim check instead.

    No Exception, for it is no failure of `send`.

    Attributes:
        ref: the claim check.
        body: the data's JSON.
    """

    def __init__(self, ref: ClaimCheck, body: bytes) -> None:
        super().__init__(f"{len(body)} bytes of data are to be uploaded")
        self.ref = ref
        self.body = body


def check_size(request: Request, most: int) -> None:
    """Checks that a request's data is small enough to travel within it.

    Args:
        request: the request.
        most: bytes of data's JSON that may.

    Raises:
        ToUpload: it is not, and the request with a claim check can be sent.
        UnsendableRequest: it is not, and never can be.
    """
    if request.ref is not None or not request.data:
        return
    try:
        body = _encode(request.data)
    except (ValueError, TypeError, RecursionError):
        return  # `to_payload` says what is wrong
    if len(body) <= most:
        return
    if request.client is None:
        raise UnsendableRequest("client", "name the sender: data this large is uploaded under its name")
    if len(body) > MAX_DATA_BYTES:
        problem = f"{len(body)} bytes of JSON, and {MAX_DATA_BYTES} are the most; upload a file by itself, and name it"
        raise UnsendableRequest("data", problem)
    ref = claim_check(request.client, body)
    if len(ref.object) > MAX_OBJECT_CHARACTERS:
        raise UnsendableRequest("client", "its name is too long to name an upload: use letters and digits")
    _check_data(request, ref, body)
    to_payload(msgspec.structs.replace(request, data={}, ref=ref))
    raise ToUpload(ref, body)


def _check_data(request: Request, ref: ClaimCheck, body: bytes) -> None:
    try:
        is_same = read_data(ref, body) == request.data
    except RefusedRequest as problem:
        raise UnsendableRequest("data", str(problem)) from None
    if not is_same:
        to_payload(request)  # says what does not read back
        raise UnsendableRequest("data", "it does not read back as itself")
