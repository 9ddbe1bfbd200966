"""Reads the data of requests that were too large to carry it, from where their senders uploaded it.

Room: adapters. S3 GetObject, some at once. codec/uploads.py says what to read, and what becomes of each request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tidemill.contract.request import ClaimCheck
from tidemill_consumers.adapters.calls import MapCalls, Troubles, at_once
from tidemill_consumers.codec.uploads import Redeemed, redeemed, wanted
from tidemill_consumers.core.batch import UNLIMITED, Arrival, Time

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CALLS_AT_ONCE = 16
"""A GET takes some 20 ms until its first byte."""

NO_BUCKET = "its data was uploaded, but this application has no content bucket"
GONE = "its upload is not there: it was never made, or has expired"

UNREADABLE = {
    "NoSuchKey": GONE,
    "InvalidObjectState": "its upload is of a storage class that is not read at once",
    "InvalidRequest": "its upload is encrypted with a key that its sender did not give",
}
"""S3's error code -> why the upload is none, for what its sender chose and what lasts. Other errors are S3's or the
stack's, and pass.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""


class Uploads:
    """The uploads of requests' data in the content bucket.

    Args:
        s3: a boto3 S3 client with short timeouts: a batch waits for it. It must be allowed s3:ListBucket: without that,
            a missing object is an AccessDenied (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).
        bucket: the bucket's name; if empty, requests with uploads are quarantined.
        calls: makes several calls; by default some at once.
    """

    def __init__(self, s3: S3Client | None = None, bucket: str = "", calls: MapCalls | None = None) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._map = calls or at_once(CALLS_AT_ONCE, "uploads")
        self._troubles = Troubles("cannot read")
        self._last: Mapping[ClaimCheck, bytes] = {}
        """What was read last: requests that name one large upload may be a piece each, and it is read once."""

    def redeem(self, arrivals: Sequence[Arrival], time: Time = UNLIMITED) -> Redeemed:
        """The arrivals, with data in place of their refs.

        Once the time is over, no further upload is read; the first always is. What cannot be read now is to be
        delivered again.
        """
        # A usual batch has no uploads, and needs nothing more.
        last, self._last = self._last, {}
        if all(one.request.ref is None for one in arrivals):
            return Redeemed(arrivals, ())
        refs = wanted(arrivals)
        read = list(self._map(partial(self._read, refs[:1], time, last), refs))
        self._troubles.tell()
        found = {ref: one for ref, one in zip(refs, read, strict=True) if one is not None}
        self._last = {ref: one for ref, one in found.items() if isinstance(one, bytes)}
        return redeemed(arrivals, found)

    def _read(
        self, first: Sequence[ClaimCheck], time: Time, last: Mapping[ClaimCheck, bytes], ref: ClaimCheck
    ) -> bytes | str | None:
        """An upload's bytes, or why they are none; None if they cannot be read now."""
        if self._s3 is None or not self._bucket:
            return NO_BUCKET
        if time.is_over and ref not in first:
            return None
        if ref in last:
            return last[ref]
        try:
            return _content(self._s3.get_object(Bucket=self._bucket, Key=ref.object), ref)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in UNREADABLE:
                return UNREADABLE[code]
            self._troubles.note(ref.object, error)
        except Exception as error:  # no answer, or one that cannot be read
            self._troubles.note(ref.object, error)
        return None


def _content(answer: Any, ref: ClaimCheck) -> bytes | str:
    """The bytes of GetObject's answer; not read if they are more or fewer than the claim check says."""
    with closing(answer["Body"]) as body:  # `with` of the body itself gives a stream that does not miss its end
        size, _ = answer["ContentLength"], answer["ETag"]  # an answer from something other than S3 has no tag
        if size != ref.bytes:
            return f"the upload has {size} bytes, and ref says {ref.bytes}"
        content: bytes = body.read()
        return content
