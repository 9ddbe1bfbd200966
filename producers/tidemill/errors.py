"""The errors of a producer, and the remedies that their messages name.

Room: SDK. No I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tidemill.sending.records import Refused

REMEDIES = {
    "AccessDeniedException": "allow the caller kinesis:PutRecords on the stream",
    "Closed": "close without a timeout, or with a longer one",
    "CredentialRetrievalError": "run the profile's credential_process by hand, or log in again",
    "Dropped": "raise max_pending_bytes or the spool's max_bytes, or let send wait: when_full='wait'",
    "Expired": "give it a longer ttl, or none",
    "ExpiredTokenException": "get new credentials, and start the process again if it was given them at its start",
    "InvalidArgumentException": "compare record_bytes with the stream's record limit",
    "InvalidSignatureException": "compare this machine's clock and the credentials",
    "KMSAccessDeniedException": "allow the caller kms:GenerateDataKey on the stream's key",
    "MalformedResponse": "look at what answers there: compare AWS_ENDPOINT_URL, and the network's proxy",
    "NoCredentialsError": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "NoRegionError": "set AWS_REGION, such as eu-west-1",
    "PartialCredentialsError": "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "ProfileNotFound": "compare AWS_PROFILE with `aws configure list-profiles`",
    "ResourceNotFoundException": "compare the stream's name, AWS_REGION and AWS_ENDPOINT_URL; or create it",
    "SSOTokenLoadError": "run `aws sso login`",
    "TokenRetrievalError": "run `aws sso login`",
    "UnauthorizedSSOTokenError": "run `aws sso login`",
    "UnrecognizedClientException": "compare the credentials and AWS_ENDPOINT_URL",
}
"""Error code or exception name -> remedy, for errors that retries do not cure or that last."""


SETTINGS = "compare the variables AWS_* and ~/.aws/config"
"""The remedy for AWS settings that botocore cannot interpret."""


class GivenUp(Exception):
    """A request was given up.

    Attributes:
        code: the service's error code, the name of the exception, or Closed, Dropped or Expired.
    """

    def __init__(self, refused: Refused) -> None:
        remedy = REMEDIES.get(refused.code)
        super().__init__(f"{refused.code}: {refused.message}" + (f" ({remedy})" if remedy else ""))
        self.code = refused.code


class NotAccepted(GivenUp):
    """The request is not on the stream, and will not be."""


class OutcomeUnknown(GivenUp):
    """The request was sent and no answer came, so it may be on the stream.

    `send` would make a new request of it. A request that was given to `put` can be given to it again, with its field
    `tried`; for what `send` makes, use a spool.

    Attributes:
        tried: for that field: a time not after the request's arrival, in milliseconds since 1970 by the stream's clock;
            0: unknown.
    """

    def __init__(self, refused: Refused, tried: int = 0) -> None:
        super().__init__(refused)
        self.tried = tried


class Left(NamedTuple):
    """Counts of the requests that were not acknowledged when a producer ended.

    Attributes:
        requests: all of them.
        unknown: of those, requests that may be on the stream.
        kept: of those, requests that the spool keeps for the next producer.
    """

    requests: int
    unknown: int
    kept: int

    def __str__(self) -> str:
        if self.kept == self.requests:
            then = "they stay in the spool for the next producer"
        elif self.kept:
            then = f"{self.kept} of them stay in the spool for the next producer"
        else:
            then = "raise close_timeout, or give the producer a spool that keeps them for the next"
        return (
            f"{self.requests} requests were not acknowledged when the producer was to end: "
            f"{self.requests - self.unknown} were not sent, {self.unknown} may be on the stream; {then}"
        )


class StillPending(TimeoutError):
    """The timeout is over and requests are not acknowledged, or have no reply.

    The producer still sends them, unless it has ended: then they were given up or stay in its spool.

    Attributes:
        pending: number of those requests.
        left: how many were given up or kept, if the producer has ended.
    """

    def __init__(
        self, pending: int, of_what: str = "acknowledged", left: Left | None = None, why: str | None = None
    ) -> None:
        super().__init__(why or (str(left) if left else f"{pending} requests are not {of_what} yet"))
        self.pending = pending
        self.left = left


def unanswered(*, is_stored: bool, hears: bool) -> str:
    """The message of a StillPending for a missing reply: names the likely causes.

    Args:
        is_stored: whether the stream has acknowledged the request.
        hears: whether a reply to any request has been received.
    """
    if not is_stored:
        return "the request is not answered yet: it is not on the stream yet, and the log says if that fails"
    waits = "its batch may still be filling, or its function fail, which that one's log says"
    if hears:
        return f"the request is on the stream and not answered yet: {waits}. Other replies are heard"
    return (
        f"the request is on the stream and not answered yet: {waits}. Nor has any other reply been heard: perhaps the "
        "queue is not subscribed to the topic of replies, its policy does not let the topic send, or the "
        "subscription's filter is for another client; tidemill.reply_queue makes one that hears"
    )


class NotUploaded(Exception):
    """Something was not uploaded to the content bucket. A request whose data it was has not been taken.

    Attributes:
        code: S3's error code, the name of the exception, or Closed.
        resume: of a photo, of which parts are there: for `Producer.upload(…, resume=…)`, which sends the others.
    """

    def __init__(self, code: str, message: str, remedy: str, resume: str | None = None) -> None:
        super().__init__(f"{code}: {message} ({remedy})")
        self.code = code
        self.resume = resume


class UnfitFile(Exception):
    """A file that no thumbnails can be made of, refused before anything was uploaded.

    Attributes:
        field: what is unfit: `file`, `size`, `type` or `content_type`.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} ({remedy})")
        self.field = field


class ProducerClosed(RuntimeError):
    """The producer has been closed: it takes no more requests."""


class BufferFull(Exception):
    """Too much is pending to take the request, and `send` may not wait (`when_full="raise"`)."""


class TooManyQueues(Exception):
    """No further queue can hear the topic by a filter of its own: SNS allows 200 filters a topic, 10,000 an account.

    https://docs.aws.amazon.com/general/latest/gr/sns.html#limits_sns
    """

    def __init__(self, topic_arn: str) -> None:
        super().__init__(
            f"{topic_arn} has as many subscriptions with a filter as SNS allows, 200 unless your account has more; let "
            "a queue hear many clients, as hears={'prefix': 'phone-'} does, or all, and hand their replies on"
        )
        self.topic_arn = topic_arn


class Misconfigured(Exception):
    """The producer's configuration cannot work; nothing has been sent.

    Attributes:
        field: the wrong part: `stream`, `region`, `credentials` or `settings`.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}; {remedy}")
        self.field = field


def failure(refused: Refused, tried: int | None = None) -> GivenUp:
    """The exception for a request that was given up.

    Args:
        refused: why.
        tried: a time not after its first attempt; None or 0: unknown.
    """
    return OutcomeUnknown(refused, tried or 0) if refused.lost else NotAccepted(refused)
