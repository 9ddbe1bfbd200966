"""Kinesis's calls that list and describe shards, including closed ones.

Room: local platform, pure on a stream's dict but for `install`: time is an argument.
Tests: tests/infra/tidemill_local/patches/kinesis/test_resharding.py.
"""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from tidemill_local.patches.kinesis.api import Handler, Refused, Request, Resolve, Stream, found, handler, invalid
from tidemill_local.patches.kinesis.shard_state import Shard, is_open, moment, open_shards, parents_of
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_SHARDS = 1_000
"""Shards of a page of ListShards by default:
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html."""

MOST_RESULTS = 10_000

TOKEN_SECONDS = 300

_FILTERS = ("AFTER_SHARD_ID", "AT_LATEST", "AT_TIMESTAMP", "AT_TRIM_HORIZON", "FROM_TIMESTAMP", "FROM_TRIM_HORIZON")


def install() -> None:
    """Have ListShards and the descriptions of streams and shards tell closed shards from open ones.

    Needs of the emulator:
        kinesis._list_shards: answers ListShards, of which it knows no filters; replaced.
        kinesis._describe_stream_summary: answers DescribeStreamSummary; its count is of open shards then.
        kinesis._shard_out: a shard as it is described; the end of a closed one is added.
        kinesis._resolve_stream: finds the stream that a request names.
        kinesis._expire_records: drops what is past a stream's retention.
    """
    from ministack.services import kinesis

    require(kinesis, "_list_shards", "_describe_stream_summary", "_shard_out", "_resolve_stream", "_expire_records")
    resolve = kinesis._resolve_stream
    kinesis._shard_out = with_end(kinesis._shard_out)
    kinesis._list_shards = shard_lister(resolve, kinesis._expire_records, kinesis._shard_out, time.time)
    kinesis._describe_stream_summary = with_open_count(kinesis._describe_stream_summary, resolve)


def selected(stream: Stream, shard_filter: Mapping[str, Any]) -> set[str]:
    """The ids of the shards that a ShardFilter of ListShards lets through.

    https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ShardFilter.html

    Raises:
        Refused: the filter's type is unknown, or a parameter that it needs is missing.
    """
    shards: Mapping[str, Shard] = stream["shards"]
    match shard_filter.get("Type"):
        case "FROM_TRIM_HORIZON":
            return set(shards)
        case "AT_LATEST":
            return set(open_shards(stream))
        case "AT_TRIM_HORIZON":
            # The shards that were open at the oldest record: their parents have expired.
            return {shard_id for shard_id, shard in shards.items() if not set(parents_of(shard)) & set(shards)}
        case "AFTER_SHARD_ID":
            after = _needed(shard_filter, "ShardId")
            return {shard_id for shard_id in shards if shard_id > after}
        case "AT_TIMESTAMP":
            at = float(_needed(shard_filter, "Timestamp"))
            return {i for i, shard in shards.items() if moment(shard["starting_sequence_number"]) <= at <= _end(shard)}
        case "FROM_TIMESTAMP":
            at = float(_needed(shard_filter, "Timestamp"))
            return {i for i, shard in shards.items() if at <= _end(shard)}
        case other:
            raise invalid("shardFilter.type", other, f"satisfy enum value set: [{', '.join(_FILTERS)}]")


def shard_lister(
    resolve: Resolve,
    expire: Callable[[Stream], None],
    described: Callable[[str, Shard], dict[str, Any]],
    clock: Callable[[], float],
) -> Handler:
    """The handler of ListShards.

    Args:
        resolve: finds the stream that a request names.
        expire: drops the records past the stream's retention.
        described: gives a shard's description, by its id.
        clock: seconds since 1970.
    """

    def list_shards(request: Request) -> dict[str, Any]:
        asked = _page_of(request, clock()) if "NextToken" in request else request
        stream = found(resolve, asked)
        expire(stream)
        wanted = selected(stream, asked.get("ShardFilter") or {"Type": "FROM_TRIM_HORIZON"})
        after, most = asked.get("ExclusiveStartShardId") or "", request.get("MaxResults", MOST_SHARDS)
        if not 1 <= most <= MOST_RESULTS:
            raise invalid("maxResults", most, f"have value from 1 to {MOST_RESULTS}")
        left = sorted(shard_id for shard_id in wanted if shard_id > after)
        page = left[:most]
        answer: dict[str, Any] = {"Shards": [described(one, stream["shards"][one]) for one in page]}
        if len(left) > most:
            following = {"StreamARN": stream["StreamARN"], "ExclusiveStartShardId": page[-1]}
            kept = {name: asked[name] for name in ("ShardFilter",) if name in asked}
            told = json.dumps({**following, **kept, "at": clock()}).encode()
            answer["NextToken"] = base64.urlsafe_b64encode(told).decode()
        return answer

    return handler(list_shards)


def with_open_count(describe_summary: Handler, resolve: Resolve) -> Handler:
    """DescribeStreamSummary, counting the open shards only."""

    def counted(request: Request) -> dict[str, Any]:
        stream = found(resolve, request)
        summary: dict[str, Any] = json.loads(describe_summary(request)[2])
        summary["StreamDescriptionSummary"]["OpenShardCount"] = len(open_shards(stream))
        return summary

    return handler(counted)


def with_end(shard_out: Callable[[str, Shard], dict[str, Any]]) -> Callable[[str, Shard], dict[str, Any]]:
    """A shard's description, with the end of its sequence numbers once it is closed."""

    def described(shard_id: str, shard: Shard) -> dict[str, Any]:
        description = shard_out(shard_id, shard)
        if not is_open(shard):
            description["SequenceNumberRange"]["EndingSequenceNumber"] = shard["ending_sequence_number"]
        return description

    return described


def _page_of(request: Request, now: float) -> Request:
    """The request whose next page is asked for, decoded from NextToken."""
    for other in ("StreamName", "StreamARN", "ExclusiveStartShardId", "StreamCreationTimestamp"):
        if other in request:
            raise Refused("InvalidArgumentException", f"NextToken and {other} cannot be provided together.")
    try:
        asked: Request = json.loads(base64.urlsafe_b64decode(str(request["NextToken"]).encode()))
        age = now - asked["at"]
    except (ValueError, LookupError, TypeError):
        raise Refused("InvalidArgumentException", "Invalid NextToken.") from None
    if age > TOKEN_SECONDS:
        raise Refused("ExpiredNextTokenException", f"The pagination token is {age:.0f} seconds old.")
    return asked


def _end(shard: Shard) -> float:
    return float("inf") if is_open(shard) else moment(shard["ending_sequence_number"])


def _needed(shard_filter: Mapping[str, Any], field: str) -> Any:
    if field not in shard_filter:
        raise Refused("InvalidArgumentException", f"ShardFilter of type {shard_filter['Type']} needs {field}.")
    return shard_filter[field]
