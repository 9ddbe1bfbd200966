"""Names failures of calls to the content bucket, and their remedies.

Room: SDK. No I/O.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tidemill.errors import REMEDIES, NotUploaded
from tidemill.runtime.trouble import said_by

if TYPE_CHECKING:
    from collections.abc import Mapping

ANOTHER_REGION = "the bucket is in another region: give the producer s3=boto3.client('s3', region_name=…) of that one"
IN_S3 = {
    "AccessDenied": "allow the caller s3:PutObject there, and s3:ListMultipartUploadParts to go on; a "
    "signed-in user may put below the user's identity, which must be the client",
    "AuthorizationHeaderMalformed": ANOTHER_REGION,
    "ExpiredToken": REMEDIES["ExpiredTokenException"],
    "InvalidAccessKeyId": REMEDIES["UnrecognizedClientException"],
    "NoSuchBucket": "compare bucket with the stack's output ContentBucketName, and AWS_ENDPOINT_URL_S3",
    "PermanentRedirect": ANOTHER_REGION,
    "RequestTimeTooSkewed": REMEDIES["InvalidSignatureException"],
    "SignatureDoesNotMatch": REMEDIES["InvalidSignatureException"],
}
"""S3's error code -> remedy, for errors that retries do not cure."""

MOST_SAID = 1000
"""Characters of an exception's message that are told: a proxy may answer with a page."""

AGAIN = "try again: nothing of it was kept"


def not_uploaded(
    error: Exception,
    place: str,
    remedy: str = AGAIN,
    resume: str | None = None,
    remedies: Mapping[str, str] = IN_S3,
) -> NotUploaded:
    """The NotUploaded for an exception of a boto3 S3 client.

    Args:
        error: the exception.
        place: the object, for people.
        remedy: what to do about an error for which nothing else helps.
        resume: the token of an upload in parts.
        remedies: by error code.
    """
    code = _code_of(error)
    said = said_by(error)
    shown = said if len(said) <= MOST_SAID else f"{said[:MOST_SAID]}…"
    return NotUploaded(code, f"{place}: {shown}", remedies.get(code) or REMEDIES.get(code) or remedy, resume)


def _code_of(error: Exception) -> str:
    """S3's error code in an exception, or the exception's name. A client that was given may raise anything."""
    with suppress(Exception):
        code = error.response["Error"]["Code"]  # type: ignore[attr-defined]
        if isinstance(code, str) and code:
            return code
    return type(error).__name__
