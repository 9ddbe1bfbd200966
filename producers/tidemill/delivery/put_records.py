"""The wire: makes PutRecords calls and interprets their errors.

Room: SDK, I/O. The only Kinesis client on the sending side. Its only decision is which errors may be retried.
"""

from __future__ import annotations

from functools import partial
from ssl import SSLCertVerificationError
from threading import local
from time import monotonic
from typing import TYPE_CHECKING, Any

from tidemill.aws.answer_date import date_of
from tidemill.aws.fast_json import PUTS, use_msgspec_json
from tidemill.aws.region import check_region, make_client
from tidemill.errors import REMEDIES, Misconfigured
from tidemill.runtime.bounded import bounded
from tidemill.runtime.log import log
from tidemill.runtime.processes import renew_connections, renew_credentials
from tidemill.runtime.trouble import said_by
from tidemill.sending.answers import outcomes, refused
from tidemill.sending.records import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_boto3_kinesis import KinesisClient

    from tidemill.sending.records import Call, Outcome
    from tidemill.sending.stream_clock import StreamClock

IN_VAIN = frozenset(
    {
        "ExpiredTokenException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
"""Error codes of invalid credentials."""


class Wire:
    """A stream and the Kinesis client that sends to it.

    Args:
        stream: its name or ARN.
        kinesis: a boto3 Kinesis client. None makes one in the ARN's region, else AWS_REGION's; AWS_ENDPOINT_URL holds.
            If it retries by itself, every record is marked from its first attempt on.
        clock: the stream's, which learns from every answer.
        now: the monotonic clock that the time is read from when an answer has come.

    Raises:
        Misconfigured: no client can be made, such as without a region, or the stream's ARN names another region.
    """

    def __init__(
        self,
        stream: str,
        kinesis: KinesisClient | None,
        clock: StreamClock,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.stream = stream
        self.clock = clock
        self._now = now
        self._owns_kinesis = kinesis is None
        self.kinesis = kinesis or _make_kinesis(stream)
        check_region(self.kinesis, stream)
        self._counts_sends = _sends.watch(self.kinesis)
        self._repeats = repeats(self.kinesis)
        self._is_copy = False
        self._where: Any = {"StreamARN" if stream.startswith("arn:") else "StreamName": stream}

    def check(self) -> None:
        """Checks that requests can be sent to the stream. Temporary errors, and a refusal to describe it, pass.

        Raises:
            Misconfigured: credentials are missing or invalid, or the stream does not exist or keeps no order.
        """
        from botocore.exceptions import ClientError

        try:
            answer: Any = bounded(partial(self.kinesis.describe_stream_summary, **self._where))
            self._hear(answer)
            strategy = answer["StreamDescriptionSummary"].get("RecordDistributionStrategy")
        except ClientError as error:
            self._hear(error.response)
            self._check_refusal(refused(error.response).code, error)
            return
        except Exception as error:  # no answer, or one that cannot be read
            remedy = REMEDIES.get(type(error).__name__)
            if remedy:  # there are no credentials, and waiting does not help
                raise Misconfigured("credentials", str(error), remedy) from None
            log.warning("cannot look at the stream %s yet: %r", self.stream, error)
            return
        if strategy == "AUTO":
            raise Misconfigured(
                "stream",
                f"{self.stream} distributes records as it likes, so no order can be kept",
                "call UpdateStreamRecordDistributionStrategy with USER_PARTITION_KEY",
            )

    def put(self, call: Call) -> Sequence[Outcome] | Refused:
        """Makes a call. Returns each record's outcome, or the reason why the whole call failed."""
        _sends.count = 0
        answer: Sequence[Outcome] | Refused
        try:
            if self._is_copy:
                self._reconnect()
            records: Any = self.entries(call)
            heard = self.kinesis.put_records(Records=records, **self._where)
            self._hear(heard)
            answer = outcomes(heard, call.count)
        except Exception as error:  # of any kind: the handles must hear of it
            self._hear(getattr(error, "response", None))
            answer = refusal(error, _sends.count if self._counts_sends else 1)
        if _sends.count > 1:  # by a client that retries by itself: the answer to an earlier one may have been lost
            answer = _in_doubt(answer)
        return answer

    def entries(self, call: Call) -> list[dict[str, Any]]:
        """The call's records as entries of PutRecords."""
        return [record.marked_entry if self._repeats else record.entry for record in call.records]

    def close(self) -> None:
        """Closes the client, unless it was given."""
        if self._owns_kinesis and not self._is_copy:
            self.kinesis.close()

    def begin_again(self) -> None:
        """Starts anew in a copy of the process: the next call makes new connections."""
        self._is_copy = True

    def _hear(self, answer: object) -> None:
        """Learns the stream's time from an answer."""
        date = date_of(answer)
        if date is not None:
            self.clock.hear(date, self._now())

    def _reconnect(self) -> None:
        if self._owns_kinesis:
            self.kinesis = _make_kinesis(self.stream)
            renew_credentials(self.kinesis)
            self._counts_sends = _sends.watch(self.kinesis)
        else:
            renew_connections(self.kinesis)
        self._is_copy = False

    def _check_refusal(self, code: str, error: Exception) -> None:
        if code == "ResourceNotFoundException":
            raise Misconfigured("stream", f"there is no {self.stream} here ({error})", REMEDIES[code]) from None
        if code in IN_VAIN:
            remedy = REMEDIES.get(code, REMEDIES["NoCredentialsError"])
            raise Misconfigured("credentials", str(error), remedy) from None
        # Many clients may call PutRecords but not describe the stream.
        log.debug("cannot look at the stream %s: %s", self.stream, error)


def _make_kinesis(stream: str) -> KinesisClient:
    import boto3  # here, for `import tidemill` to be quick
    from botocore.config import Config

    config = Config(
        # The scheduler retries, lane by lane and failed entries only. Retries beneath it would repeat the
        # whole call, wait in the sender's thread, and multiply with its own.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # A quarter of a call's time; what is sent has been checked one by one.
        parameter_validation=False,
        user_agent=f"tidemill boto3/{boto3.__version__}",
        connect_timeout=5,
        read_timeout=20,
        tcp_keepalive=True,
    )
    kinesis: KinesisClient = use_msgspec_json(make_client("kinesis", stream, config), PUTS)
    return kinesis


def repeats(client: Any) -> bool:
    """Whether a boto3 client retries calls by itself, which then sends the same bytes without a mark."""
    retries = getattr(getattr(getattr(client, "meta", None), "config", None), "retries", None)
    return isinstance(retries, dict) and retries.get("total_max_attempts") != 1


def _in_doubt(answer: Sequence[Outcome] | Refused) -> Sequence[Outcome] | Refused:
    if isinstance(answer, Refused):
        return answer._replace(lost=True)
    return [one._replace(lost=True) if isinstance(one, Refused) else one for one in answer]


class _Sends(local):
    """Counts, per thread, how often a call has begun to leave this machine, by an event of botocore.

    Attributes:
        count: number of sends since it was set to 0.
    """

    count = 0

    def watch(self, client: Any) -> bool:
        """Registers the counter with a client, which producers may share. Returns whether the client has events."""
        events = getattr(getattr(client, "meta", None), "events", None)
        if events is None:
            return False
        events.register("before-send.kinesis.PutRecords", self._count, unique_id="tidemill-sends")
        return True

    def _count(self, **_: object) -> None:
        self.count += 1


_sends = _Sends()


def refusal(error: Exception, sends: int) -> Refused:
    """The Refused for an exception of boto3.

    Args:
        error: the exception.
        sends: number of times that the call has begun to leave this machine.
    """
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError) and error.operation_name == "PutRecords":
        return refused(error.response)
    name = type(error).__name__
    if sends and not _precedes_sending(error):
        # No answer, a part of one, or one that botocore cannot parse.
        return Refused(name, said_by(error), again=True, lost=True)
    if isinstance(error, boto.ClientError):  # of the service that gives credentials
        its = refused(error.response)
        return its._replace(lost=False)
    passing = boto.HTTPClientError | boto.ConnectionError | boto.CredentialRetrievalError | boto.MetadataRetrievalError
    return Refused(name, said_by(error), again=isinstance(error, passing | OSError))


def _precedes_sending(error: Exception) -> bool:
    """Whether the error can only occur before a request leaves."""
    from botocore import exceptions as boto

    if isinstance(error, boto.SSLError):  # one amid an answer is one, too
        return _is_of_certificate(error)
    return isinstance(
        error,
        boto.ConnectionError | boto.CredentialRetrievalError | boto.NoCredentialsError | boto.PartialCredentialsError,
    )


def _is_of_certificate(error: BaseException | None) -> bool:
    """Whether the error's cause is an invalid certificate."""
    while error is not None and not isinstance(error, SSLCertVerificationError):
        within = [one for one in error.args if isinstance(one, BaseException)]
        error = within[0] if within else error.__cause__ or error.__context__
    return error is not None
