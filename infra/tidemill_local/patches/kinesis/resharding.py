"""Resharding as on AWS: parents close and keep their records, children take over their hash keys.

Room: local platform, pure on a stream's dict: sequence numbers and time are arguments. The handlers at the end
are what launcher.py hooks into the emulator, whose own would delete the parents with their records.

https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html names the states: a
shard is OPEN, then CLOSED (no more writes; readable until its retention ends), then EXPIRED (gone). Here a
reshard is done when the call returns, so a stream is never UPDATING, and nothing limits how often.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect_left, bisect_right
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.kinesis.api import Handler, Refused, Request, Resolve, Stream, found, handler, place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Shard: TypeAlias = dict[str, Any]
"""A shard as the emulator holds it; a closed one has `ending_sequence_number` besides."""

NextSequence: TypeAlias = "Callable[[], str]"
UpdateResource: TypeAlias = "Callable[[str, dict[str, Any], dict[str, Any], str], Any]"
"""Changes a resource of a stack: its physical id, its properties before and after, the stack's name."""

HASH_KEYS = 2**128

ROUNDING = 10_000
"""How far apart divisions of the hash keys by different counts may put the same boundary: a key a shard."""

MOST_SHARDS = 1_000
"""That ListShards returns unless it is asked for more:
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html."""

MOST_BY_COUNT = 10_000
"""That UpdateShardCount leaves: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html."""

MOST_RESULTS = 10_000
TOKEN_SECONDS = 300

_ROUTES = "tidemill_routes"
_FILTERS = ("AFTER_SHARD_ID", "AT_LATEST", "AT_TIMESTAMP", "AT_TRIM_HORIZON", "FROM_TIMESTAMP", "FROM_TRIM_HORIZON")


def sequence_numbers(clock: Callable[[], float]) -> NextSequence:
    """Makes sequence numbers in the emulator's form, which opens with the moment in milliseconds.

    They rise whatever the clock does: what looks for a record in a shard relies on it, and so do readers.
    """
    lock = Lock()
    millis = count = 0

    def next_sequence() -> str:
        nonlocal millis, count
        with lock:
            millis, count = max(millis, int(clock() * 1000)), count + 1
            return f"{millis:020d}{count:010d}"

    return next_sequence


def moment(sequence: str) -> float:
    """When a sequence number was given, in seconds since 1970."""
    return int(sequence[:-10]) / 1000


def is_open(shard: Shard) -> bool:
    """Whether the shard takes records."""
    return "ending_sequence_number" not in shard


def open_shards(stream: Stream) -> list[str]:
    """The ids of the shards that take records, in the order of their hash keys."""
    return list(_routes(stream)[1])


def route(hash_key: int, stream: Stream) -> str:
    """The id of the shard that takes a record of this hash key."""
    starts, ids = _routes(stream)
    return ids[bisect_right(starts, hash_key) - 1]


def children(stream: Stream, shard_id: str) -> list[dict[str, Any]]:
    """The shards that took over from this one, as GetRecords lists them at its end."""
    return [
        {
            "ShardId": child_id,
            "ParentShards": _parents(child),
            "HashKeyRange": {
                "StartingHashKey": child["starting_hash_key"],
                "EndingHashKey": child["ending_hash_key"],
            },
        }
        for child_id, child in sorted(stream["shards"].items())
        if shard_id in _parents(child)
    ]


def split(stream: Stream, shard_id: str, at: int, next_sequence: NextSequence) -> tuple[str, str]:
    """Close the shard; its hash keys below `at` go to one new shard, the others to a second. Gives their ids."""
    low, high = _hash_keys(stream["shards"][shard_id])
    _close(stream, [shard_id], next_sequence)
    return (
        _add(stream, (low, at - 1), [shard_id], next_sequence),
        _add(stream, (at, high), [shard_id], next_sequence),
    )


def merge(stream: Stream, lower_id: str, upper_id: str, next_sequence: NextSequence) -> str:
    """Close two neighbours; all their hash keys go to one new shard. Gives its id."""
    low, _ = _hash_keys(stream["shards"][lower_id])
    _, high = _hash_keys(stream["shards"][upper_id])
    _close(stream, [lower_id, upper_id], next_sequence)
    return _add(stream, (low, high), [lower_id, upper_id], next_sequence)


def rescale(stream: Stream, count: int, next_sequence: NextSequence) -> None:
    """Split and merge until `count` open shards divide the hash keys evenly.

    In the order in which AWS was seen to do it (4 shards to 3 leave 6, 9 and 10 open): from the lowest hash key
    up, split the shard that crosses the next boundary, then merge what lies below it.
    """
    below = 0
    for boundary in _boundaries(stream, count):
        crossing = route(boundary - 1, stream)
        if boundary <= _hash_keys(stream["shards"][crossing])[1]:
            split(stream, crossing, boundary, next_sequence)
        starts, ids = _routes(stream)
        merged, *others = ids[bisect_left(starts, below) : bisect_left(starts, boundary)]
        for other in others:
            merged = merge(stream, merged, other, next_sequence)
        below = boundary


def forget_expired(stream: Stream, cutoff: float) -> None:
    """Drop the closed shards whose last record may have arrived before `cutoff`: they are empty by then.

    Their children keep naming them as parents, as on AWS.
    """
    shards = stream["shards"]
    expired = [
        shard_id
        for shard_id, shard in shards.items()
        if not is_open(shard) and not shard["records"] and moment(shard["ending_sequence_number"]) < cutoff
    ]
    for shard_id in expired:
        del shards[shard_id]


def selected(stream: Stream, shard_filter: Mapping[str, Any]) -> set[str]:
    """The ids of the shards that a ShardFilter of ListShards lets through.

    https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ShardFilter.html

    Raises:
        Refused: the filter is not one, or lacks what its type needs.
    """
    shards: Mapping[str, Shard] = stream["shards"]
    match shard_filter.get("Type"):
        case "FROM_TRIM_HORIZON":
            return set(shards)
        case "AT_LATEST":
            return set(open_shards(stream))
        case "AT_TRIM_HORIZON":
            # What was open then has outlived its parents, whose last moment it is.
            return {shard_id for shard_id, shard in shards.items() if not set(_parents(shard)) & set(shards)}
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
            raise _invalid("shardFilter.type", other, f"satisfy enum value set: [{', '.join(_FILTERS)}]")


def check_split(stream: Stream, shard_id: str, at: int) -> None:
    """Refuse what AWS's SplitShard would."""
    _check_provisioned(stream)
    _check_open(stream, shard_id)
    low, high = _hash_keys(stream["shards"][shard_id])
    if not low + 1 < at < high:
        raise Refused(
            "InvalidArgumentException",
            f"NewStartingHashKey {at} used in SplitShard() on shard {shard_id} in {place(stream)} is not both "
            f"greater than one plus the shard's StartingHashKey {low} and less than the shard's EndingHashKey {high}.",
        )


def check_merge(stream: Stream, lower_id: str, upper_id: str) -> None:
    """Refuse what AWS's MergeShards would: the pair the wrong way round, too."""
    _check_provisioned(stream)
    _check_open(stream, lower_id)
    _check_open(stream, upper_id)
    if _hash_keys(stream["shards"][lower_id])[1] + 1 != _hash_keys(stream["shards"][upper_id])[0]:
        raise Refused(
            "InvalidArgumentException",
            f"Shards {lower_id} and {upper_id} in {place(stream)} are not an adjacent pair of shards eligible for "
            "merging",
        )


def check_rescale(stream: Stream, count: int) -> int:
    """Refuse what AWS's UpdateShardCount would; otherwise gives how many shards are open."""
    _check_provisioned(stream)
    if count < 1:
        raise _invalid("targetShardCount", count, "have value greater than or equal to 1")
    current = len(open_shards(stream))
    counts = f"Current open shard count: {current} Target shard count: {count}"
    if count > 2 * current:
        what = "scale up over double your current open shard count"
    elif 2 * count < current:
        what = "scale down below half your current open shard count"
    elif count > MOST_BY_COUNT:
        what = f"scale to more than {MOST_BY_COUNT} shards"
    else:
        return current
    raise Refused("LimitExceededException", f"UpdateShardCount cannot {what}. {counts}")


def reshard_handlers(resolve: Resolve, next_sequence: NextSequence) -> tuple[Handler, Handler, Handler]:
    """What answers SplitShard, MergeShards and UpdateShardCount."""

    def split_shard(request: Request) -> dict[str, Any]:
        stream, shard_id = found(resolve, request), request.get("ShardToSplit", "")
        at = str(request.get("NewStartingHashKey"))
        if not at.isdecimal():
            raise _invalid("newStartingHashKey", at, "satisfy regular expression pattern: 0|([1-9]\\d{0,38})")
        check_split(stream, shard_id, int(at))
        split(stream, shard_id, int(at), next_sequence)
        return {}

    def merge_shards(request: Request) -> dict[str, Any]:
        stream = found(resolve, request)
        pair = request.get("ShardToMerge", ""), request.get("AdjacentShardToMerge", "")
        check_merge(stream, *pair)
        merge(stream, *pair, next_sequence)
        return {}

    def update_shard_count(request: Request) -> dict[str, Any]:
        stream, target = found(resolve, request), int(request.get("TargetShardCount", 0))
        if (scaling := request.get("ScalingType")) != "UNIFORM_SCALING":
            raise _invalid("scalingType", scaling, "satisfy enum value set: [UNIFORM_SCALING]")
        current = check_rescale(stream, target)
        rescale(stream, target, next_sequence)
        return {
            "StreamName": stream["StreamName"],
            "CurrentShardCount": current,
            "TargetShardCount": target,
            "StreamARN": stream["StreamARN"],
        }

    return handler(split_shard), handler(merge_shards), handler(update_shard_count)


def shard_lister(
    resolve: Resolve,
    expire: Callable[[Stream], None],
    described: Callable[[str, Shard], dict[str, Any]],
    clock: Callable[[], float],
) -> Handler:
    """What answers ListShards.

    Args:
        resolve: finds the stream that a request names.
        expire: drops what is past the stream's retention.
        described: a shard's description, by its id.
        clock: seconds since 1970.
    """

    def list_shards(request: Request) -> dict[str, Any]:
        asked = _page_of(request, clock()) if "NextToken" in request else request
        stream = found(resolve, asked)
        expire(stream)
        wanted = selected(stream, asked.get("ShardFilter") or {"Type": "FROM_TRIM_HORIZON"})
        after, most = asked.get("ExclusiveStartShardId") or "", request.get("MaxResults", MOST_SHARDS)
        if not 1 <= most <= MOST_RESULTS:
            raise _invalid("maxResults", most, f"have value from 1 to {MOST_RESULTS}")
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


def _page_of(request: Request, now: float) -> Request:
    """What the request was whose next page is asked for."""
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


def with_shard_count(update: UpdateResource, resolve: Resolve, next_sequence: NextSequence) -> UpdateResource:
    """CloudFormation's update of a stream, which follows a changed ShardCount too.

    Raises:
        Refused: on calling, what UpdateShardCount refuses; the stack rolls back.
    """

    def updated(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> Any:
        name, stream = resolve({"StreamName": physical_id})
        stays = new.get("Name", name) == name
        if stream and stays and "ShardCount" in new and str(new["ShardCount"]) != str(old.get("ShardCount")):
            check_rescale(stream, int(new["ShardCount"]))
            rescale(stream, int(new["ShardCount"]), next_sequence)
        return update(physical_id, old, new, stack)

    return updated


def _routes(stream: Stream) -> tuple[Sequence[int], Sequence[str]]:
    """Where each open shard's hash keys start, and its id; found once between reshards, as every record needs it."""
    if _ROUTES not in stream:
        routes = sorted((_hash_keys(shard)[0], i) for i, shard in stream["shards"].items() if is_open(shard))
        stream[_ROUTES] = [start for start, _ in routes], [shard_id for _, shard_id in routes]
    starts, ids = stream[_ROUTES]
    return starts, ids


def _boundaries(stream: Stream, count: int) -> list[int]:
    """Where the shards of an even division end; a boundary that is there already but for rounding stays."""
    starts = _routes(stream)[0]

    def settled(boundary: int) -> int:
        near = bisect_left(starts, boundary - ROUNDING)
        return starts[near] if near < len(starts) and starts[near] <= boundary + ROUNDING else boundary

    return [settled(HASH_KEYS * index // count) for index in range(1, count)] + [HASH_KEYS]


def _close(stream: Stream, shard_ids: Sequence[str], next_sequence: NextSequence) -> None:
    end = next_sequence()  # one for both parents of a merge, so that they expire together
    for shard_id in shard_ids:
        stream["shards"][shard_id]["ending_sequence_number"] = end
    stream.pop(_ROUTES, None)  # every change begins with closing


def _add(stream: Stream, hash_keys: tuple[int, int], parents: Sequence[str], next_sequence: NextSequence) -> str:
    newest = max(stream["shards"])  # never expired: it is open
    shard_id = f"shardId-{int(newest.rpartition('-')[2]) + 1:012d}"
    parent, adjacent = (*parents, None)[:2]
    stream["shards"][shard_id] = {
        "records": [],
        "starting_hash_key": str(hash_keys[0]),
        "ending_hash_key": str(hash_keys[1]),
        "starting_sequence_number": next_sequence(),
        "parent_shard_id": parent,
        "adjacent_parent_shard_id": adjacent,
    }
    return shard_id


def _hash_keys(shard: Shard) -> tuple[int, int]:
    return int(shard["starting_hash_key"]), int(shard["ending_hash_key"])


def _parents(shard: Shard) -> list[str]:
    return [parent for parent in (shard["parent_shard_id"], shard["adjacent_parent_shard_id"]) if parent]


def _end(shard: Shard) -> float:
    return float("inf") if is_open(shard) else moment(shard["ending_sequence_number"])


def _check_provisioned(stream: Stream) -> None:
    if stream.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND":
        raise Refused("ValidationException", f"Request is invalid: {place(stream)} is in On-Demand mode.")


def _check_open(stream: Stream, shard_id: str) -> None:
    if shard_id not in stream["shards"]:
        raise Refused("ResourceNotFoundException", f"Could not find shard {shard_id} in {place(stream)}.")
    if not is_open(stream["shards"][shard_id]):
        raise Refused(
            "InvalidArgumentException",
            f"Shard {shard_id} in {place(stream)} has already been merged or split, and thus is not eligible for "
            "merging or splitting.",
        )


def _needed(shard_filter: Mapping[str, Any], field: str) -> Any:
    if field not in shard_filter:
        raise Refused("InvalidArgumentException", f"ShardFilter of type {shard_filter['Type']} needs {field}.")
    return shard_filter[field]


def _invalid(field: str, value: object, constraint: str) -> Refused:
    return Refused(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must "
        f"{constraint}",
    )
