"""The content bucket as a producer sees it: its client, the upload of large data, and what failures mean.

Room: SDK, I/O.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from tidemill.aws.region import make_client
from tidemill.contract.validation import UnsendableRequest
from tidemill.errors import REMEDIES, NotUploaded
from tidemill.runtime.processes import renew_connections, renew_credentials
from tidemill.runtime.threads import start
from tidemill.runtime.trouble import said_by

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from tidemill.contract.request import ClaimCheck
    from tidemill.runtime.waiting import News
    from tidemill.sending.claims import ToUpload

CALLS_AT_ONCE = 8
"""Connections: parts of files go several at once."""

ANOTHER_REGION = "the bucket is in another region: give the producer s3=boto3.client('s3', region_name=…) of that one"
IN_S3 = {
    "AccessDenied": "allow the caller s3:PutObject there; a signed-in user may put below the user's identity, which "
    "must be the client",
    "AuthorizationHeaderMalformed": ANOTHER_REGION,
    "ExpiredToken": REMEDIES["ExpiredTokenException"],
    "InvalidAccessKeyId": REMEDIES["UnrecognizedClientException"],
    "NoSuchBucket": "compare bucket with the stack's output ContentBucketName, and AWS_ENDPOINT_URL_S3",
    "PermanentRedirect": ANOTHER_REGION,
    "RequestTimeTooSkewed": REMEDIES["InvalidSignatureException"],
    "SignatureDoesNotMatch": REMEDIES["InvalidSignatureException"],
}
"""S3's error code -> remedy, for errors that retries do not cure."""

AGAIN = "try again: nothing of it was kept"


class Bucket:
    """The content bucket. Thread-safe.

    Args:
        name: the bucket's name.
        stream: the stream, whose region the bucket is in.
        s3: a boto3 S3 client. None makes one; AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL hold.

    Raises:
        Misconfigured: no client can be made.
    """

    def __init__(self, name: str, stream: str, s3: S3Client | None) -> None:
        self.name = name
        self._owns_s3 = s3 is None
        self.s3: S3Client = s3 or _make_s3(stream)

    def store(self, ref: ClaimCheck, body: bytes) -> ClaimCheck:
        """Uploads data to where its claim check says, and returns that.

        It is put even if it is there: such an object may be about to expire, and looking costs as much as putting.

        Raises:
            NotUploaded: S3 does not have it, or does not say so; names the remedy.
        """
        digest = b64encode(bytes.fromhex(ref.object.rpartition("/")[2])).decode()
        try:
            answer: Any = self.s3.put_object(
                Bucket=self.name, Key=ref.object, Body=body, ContentType="application/json", ChecksumSHA256=digest
            )
            _ = answer["ETag"]  # an answer from something other than S3 has none
        except Exception as error:  # of any kind: the caller must hear of it
            raise not_uploaded(error, f"s3://{self.name}/{ref.object}") from error
        return ref

    def store_apart(self, large: ToUpload, news: News) -> ClaimCheck:
        """Uploads a request's data in a thread of its own, for a signal may interrupt this one, and send too.

        Args:
            large: the data.
            news: the producer's, which this thread waits for.

        Raises:
            NotUploaded: as `store` raises it.
            UnsendableRequest: this is a thread of the producer's own, which cannot wait.
        """
        if news.must_not_wait:
            raise UnsendableRequest("data", "it is to be uploaded, and a producer's own threads do not wait for that")
        outcome: list[ClaimCheck | NotUploaded] = []

        def work() -> None:
            try:
                outcome.append(self.store(large.ref, large.body))
            except NotUploaded as problem:
                outcome.append(problem)
            news.tell()

        try:
            start(work, "tidemill-upload")
        except RuntimeError:  # no more threads can be started, such as at exit
            work()
        news.wait_for(lambda: outcome)
        (one,) = outcome
        if isinstance(one, NotUploaded):
            raise one
        return one

    def close(self) -> None:
        """Closes the client, unless it was given."""
        if self._owns_s3:
            self.s3.close()

    def begin_again(self) -> None:
        """Starts anew in a copy of the process: with connections of its own."""
        renew_connections(self.s3)
        renew_credentials(self.s3)


def not_uploaded(error: Exception, place: str) -> NotUploaded:
    """The NotUploaded for an exception of a boto3 S3 client."""
    code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
    return NotUploaded(code, f"{place}: {said_by(error)}", IN_S3.get(code) or REMEDIES.get(code) or AGAIN)


def _make_s3(stream: str) -> S3Client:
    import boto3  # here, for `import tidemill` to be quick
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        user_agent=f"tidemill boto3/{boto3.__version__}",
        connect_timeout=5,
        read_timeout=20,
        tcp_keepalive=True,
        max_pool_connections=CALLS_AT_ONCE,
    )
    s3: S3Client = make_client("s3", stream, config)
    return s3
