"""Interprets answers to PutRecords: the outcome of each record, or that the answer is unreadable.

Room: SDK core. No I/O. An unreadable answer is treated as lost: the records may be stored.

    answer                                          the record, or all of the call
    an entry with a shard and a sequence            stored
    an entry with an error code                     not stored; InternalFailure and its like: perhaps
    any other entry, or not one for each record     perhaps stored
    an error of Kinesis, status 400 to 499          not stored; status 408: perhaps
    any error of status 500 and above               perhaps stored
    any other status, or an error without its code  perhaps stored
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidemill.sending.records import THROTTLED, Acknowledged, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidemill.sending.records import Outcome

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

UNREADABLE = "MalformedResponse"
"""The error code for an unreadable answer."""

SHOWN = 200
"""Most characters of an unreadable answer that are shown: a proxy's page may name the problem."""


def outcomes(answer: object, count: int) -> list[Outcome] | Refused:
    """The outcomes of `count` records, or the reason why the whole answer is unreadable."""
    entries = answer.get("Records") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        return unreadable("an answer without records")
    if len(entries) != count:
        return unreadable(f"{len(entries)} results for {count} records")
    return [outcome(entry) for entry in entries]


def outcome(entry: Any) -> Outcome:
    """The outcome of one record, from its entry in the answer."""
    try:
        shard, sequence = entry["ShardId"], entry["SequenceNumber"]
        if type(shard) is type(sequence) is str and shard and sequence and not entry.get("ErrorCode"):
            return Acknowledged(shard, sequence)  # nearly always so
    except (LookupError, TypeError, AttributeError):
        pass
    return _not_stored(entry)


def _not_stored(entry: object) -> Refused:
    """The reason why the record is not stored, or may not be."""
    if not isinstance(entry, dict):
        return unreadable("a result that is none")
    code = entry.get("ErrorCode")
    if not code:
        return unreadable("a result without shard or sequence number")
    if not isinstance(code, str):
        return unreadable("a result whose error code is none")
    again = code in AGAIN
    lost = bool(entry.get("SequenceNumber")) or (again and code not in THROTTLED)
    return Refused(code, str(entry.get("ErrorMessage") or ""), again=again or lost, lost=lost)


def refused(response: Mapping[str, object]) -> Refused:
    """The reason why the whole call was refused, from boto3's `ClientError.response`."""
    error, metadata = response.get("Error"), response.get("ResponseMetadata")
    code = error.get("Code") if isinstance(error, dict) else None
    message = str(error.get("Message") or "") if isinstance(error, dict) else ""
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
    if not isinstance(status, int):
        status = 0
    # botocore puts the status where an answer has no code.
    if not code or not isinstance(code, str) or code.isdigit():
        return unreadable(f"status {status or code}, and no error of Kinesis: {message[:SHOWN]}".rstrip(": "))
    lost = status >= 500 or status == 408 or (code in AGAIN and code not in THROTTLED)
    return Refused(code, message, again=lost or status == 429 or code in AGAIN, lost=lost)


def unreadable(problem: str) -> Refused:
    """The Refused for an unreadable answer: lost, and to be retried."""
    return Refused(UNREADABLE, problem, again=True, lost=True)
