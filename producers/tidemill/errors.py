"""What can go wrong between a producer and its stream, each with its remedy.

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
"""What to do about an error that no retry can cure, or that lasts."""


SETTINGS = "compare the variables AWS_* and ~/.aws/config"
"""What to do about settings of AWS that botocore cannot make sense of."""


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
    """The request was sent and no answer came: it may be on the stream, or not.

    Sending it again by the same producer would make another request of it; `put` the same one instead.
    """


class Left(NamedTuple):
    """What was not acknowledged when a producer ended.

    Attributes:
        requests: how many.
        unknown: of those, requests that may be on the stream.
        kept: of those, requests that a spool has for the next producer.
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
    """The time is over and requests are not acknowledged, or not answered.

    They are still on their way, unless the producer has ended: then they were given up, or stay in its spool.

    Attributes:
        pending: how many.
        left: what became of them, if the producer has ended.
    """

    def __init__(
        self, pending: int, of_what: str = "acknowledged", left: Left | None = None, why: str | None = None
    ) -> None:
        super().__init__(why or (str(left) if left else f"{pending} requests are not {of_what} yet"))
        self.pending = pending
        self.left = left


def unanswered(*, is_stored: bool, hears: bool) -> str:
    """Why no reply may have come, as far as it is known.

    Args:
        is_stored: whether the stream has acknowledged the request.
        hears: whether any reply has been heard, to whichever request.
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


class ProducerClosed(RuntimeError):
    """The producer has been closed: it takes no more requests."""


class BufferFull(Exception):
    """There is no room for the request until others have been acknowledged, and `send` was told not to wait."""


class Misconfigured(Exception):
    """The producer cannot work as it is set up; nothing has been sent.

    Attributes:
        field: what is wrong: `stream`, `region`, `credentials` or `settings`.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}; {remedy}")
        self.field = field


def failure(refused: Refused) -> GivenUp:
    """The exception that tells it."""
    return OutcomeUnknown(refused) if refused.lost else NotAccepted(refused)
