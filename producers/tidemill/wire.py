"""The wire: PutRecords, and what its answers mean.

Room: SDK, I/O. The only Kinesis client on the sending side; it decides nothing but what may be tried again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tidemill.buffer import THROTTLED, Acknowledged, Refused
from tidemill.failures import REMEDIES, Misconfigured, failure
from tidemill.transport import PUTS, quicken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_kinesis import KinesisClient
    from types_boto3_kinesis.type_defs import PutRecordsResultEntryTypeDef

    from tidemill.buffer import Call, Outcome

AGAIN = THROTTLED | {
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
}
"""Error codes after which the same bytes may be accepted, besides every answer of HTTP status 500 and above.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

IN_VAIN = frozenset(
    {
        "ExpiredTokenException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
"""Error codes that say: these credentials will not do."""

_log = logging.getLogger("tidemill")


class Wire:
    """A stream, as a Kinesis client sees it.

    Args:
        stream: its name or ARN.
        kinesis: a boto3 Kinesis client. None makes one, so AWS_ENDPOINT_URL and AWS_REGION hold.

    Raises:
        Misconfigured: no client can be made, such as without a region.
    """

    def __init__(self, stream: str, kinesis: KinesisClient | None) -> None:
        self.stream = stream
        self._owns_kinesis = kinesis is None
        self.kinesis = kinesis or _make_kinesis()
        self._where: Any = {"StreamARN" if stream.startswith("arn:") else "StreamName": stream}

    def check(self) -> None:
        """Looks whether requests can be sent there. What may pass, or must not be asked, is not an error.

        Raises:
            Misconfigured: no credentials, or such as will not do; no such stream, or one without order.
        """
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            answer = self.kinesis.describe_stream_summary(**self._where)
        except NoCredentialsError as error:
            raise Misconfigured("credentials", str(error), REMEDIES["NoCredentialsError"]) from None
        except ClientError as error:
            self._check_refusal(error.response["Error"].get("Code", ""), error)
            return
        except (BotoCoreError, OSError) as error:
            _log.warning("cannot look at the stream %s yet: %s", self.stream, error)
            return
        if answer["StreamDescriptionSummary"].get("RecordDistributionStrategy") == "AUTO":
            raise Misconfigured(
                "stream",
                f"{self.stream} distributes records as it likes, so no order can be kept",
                "call UpdateStreamRecordDistributionStrategy with USER_PARTITION_KEY",
            )

    def put(self, call: Call) -> Sequence[Outcome] | Refused:
        """Makes a call: what became of each record, or why the whole call failed."""
        try:
            records: Any = [record.entry for record in call.records]
            answer = self.kinesis.put_records(Records=records, **self._where)
            outcomes: Sequence[Outcome] = [_outcome(entry) for entry in answer["Records"]]
        except Exception as error:  # whatever it is, the handles have to hear of it
            return refusal(error)
        return outcomes

    def warn(self, call: Call, answer: Sequence[Outcome] | Refused, patient: bool) -> None:
        """Says what goes wrong, so that waiting is not silent. `patient`: whether no call is given up."""
        refused = answer if isinstance(answer, Refused) else next(filter(_is_refused, answer), None)
        if not isinstance(refused, Refused) or refused.code in THROTTLED:
            return
        if refused.again or (patient and refused is answer):
            _log.warning("%s; trying %d records again", failure(refused), call.count)

    def close(self) -> None:
        """Closes the client, if it is its own."""
        if self._owns_kinesis:
            self.kinesis.close()

    def _check_refusal(self, code: str, error: Exception) -> None:
        if code == "ResourceNotFoundException":
            raise Misconfigured("stream", f"there is no {self.stream} here ({error})", REMEDIES[code]) from None
        if code in IN_VAIN:
            remedy = REMEDIES.get(code, REMEDIES["NoCredentialsError"])
            raise Misconfigured("credentials", str(error), remedy) from None
        # Many a client may put and not look.
        _log.debug("cannot look at the stream %s: %s", self.stream, error)


def _make_kinesis() -> KinesisClient:
    import boto3  # here, for `import tidemill` to be quick
    from botocore.config import Config
    from botocore.exceptions import NoRegionError, ProfileNotFound

    config = Config(
        # The outbox retries, lane by lane and failed entries only. Retries beneath it would repeat the
        # whole call, wait in the sender's thread, and multiply with its own.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # A quarter of a call's time; what is sent has been checked one by one.
        parameter_validation=False,
        user_agent=f"tidemill boto3/{boto3.__version__}",
        connect_timeout=5,
        read_timeout=20,
        tcp_keepalive=True,
    )
    try:
        return quicken(boto3.client("kinesis", config=config), PUTS)
    except NoRegionError as error:
        raise Misconfigured("region", str(error), "set AWS_REGION, such as eu-west-1") from None
    except ProfileNotFound as error:
        raise Misconfigured(
            "credentials", str(error), "compare AWS_PROFILE with `aws configure list-profiles`"
        ) from None


def _outcome(entry: PutRecordsResultEntryTypeDef) -> Outcome:
    code = entry.get("ErrorCode")
    if code:
        again = code in AGAIN
        return Refused(code, entry.get("ErrorMessage", ""), again=again, lost=again and code not in THROTTLED)
    return Acknowledged(entry["ShardId"], entry["SequenceNumber"])


def _is_refused(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused)


def refusal(error: Exception) -> Refused:
    """What an exception of boto3 means for the call."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    if isinstance(error, boto.ClientError):
        code = error.response["Error"].get("Code", "Unknown")
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        message = error.response["Error"].get("Message", "")
        return Refused(code, message, again=status >= 500 or status == 429 or code in AGAIN, lost=status >= 500)
    # Nothing left this machine.
    if isinstance(error, boto.ConnectionError | boto.CredentialRetrievalError):
        return Refused(type(error).__name__, str(error), again=True)
    # No answer, or half of one: the records may be stored or not.
    lost = isinstance(error, boto.HTTPClientError | ResponseParserError | OSError)
    return Refused(type(error).__name__, str(error), again=lost, lost=lost)
