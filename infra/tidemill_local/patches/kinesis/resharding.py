"""The calls that reshard a stream: SplitShard, MergeShards, UpdateShardCount, and a stack's ShardCount.

Room: local platform, pure on a stream's dict but for `install`: sequence numbers are an argument. The
emulator's own calls would delete the parents with their records. A reshard is done when the call returns, so a stream
is never UPDATING, and the number of reshards is not limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.kinesis.api import (
    Handler,
    Refused,
    Request,
    Resolve,
    Stream,
    found,
    handler,
    invalid,
    place,
)
from tidemill_local.patches.kinesis.shard_state import (
    NextSequence,
    hash_keys_of,
    is_open,
    merge,
    open_shards,
    rescale,
    route,
    split,
)
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable

UpdateResource: TypeAlias = "Callable[[str, dict[str, Any], dict[str, Any], str], Any]"
"""Changes a resource of a stack: its physical id, its properties before and after, the stack's name."""


MOST_BY_COUNT = 10_000
"""Most shards by UpdateShardCount: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html."""


def install() -> None:
    """Have a reshard close the parents and keep their records, and have new records go to open shards.

    Needs of the emulator:
        kinesis._split_shard, kinesis._merge_shards, kinesis._update_shard_count: answer those calls; replaced.
        kinesis._route_to_shard: finds the shard that takes a record; replaced, for it would find closed ones.
        kinesis._next_sequence_number: makes a sequence number.
        kinesis._resolve_stream: finds the stream that a request names.
        provisioners._RESOURCE_HANDLERS: what changes a stack's stream, which must follow ShardCount.
    """
    from ministack.services import kinesis
    from ministack.services.cloudformation import provisioners

    require(kinesis, "_split_shard", "_merge_shards", "_update_shard_count", "_route_to_shard")
    require(kinesis, "_next_sequence_number", "_resolve_stream")
    require(provisioners, "_RESOURCE_HANDLERS")
    resolve, next_sequence = kinesis._resolve_stream, kinesis._next_sequence_number
    kinesis._route_to_shard = route
    kinesis._split_shard, kinesis._merge_shards, kinesis._update_shard_count = reshard_handlers(resolve, next_sequence)
    stack = provisioners._RESOURCE_HANDLERS["AWS::Kinesis::Stream"]
    stack["update"] = with_shard_count(stack["update"], resolve, next_sequence)


def check_split(stream: Stream, shard_id: str, at: int) -> None:
    """Refuse the splits that AWS's SplitShard refuses."""
    _check_provisioned(stream)
    _check_open(stream, shard_id)
    low, high = hash_keys_of(stream["shards"][shard_id])
    if not low + 1 < at < high:
        raise Refused(
            "InvalidArgumentException",
            f"NewStartingHashKey {at} used in SplitShard() on shard {shard_id} in {place(stream)} is not both "
            f"greater than one plus the shard's StartingHashKey {low} and less than the shard's EndingHashKey {high}.",
        )


def check_merge(stream: Stream, lower_id: str, upper_id: str) -> None:
    """Refuse the merges that AWS's MergeShards refuses, including a pair in the wrong order."""
    _check_provisioned(stream)
    _check_open(stream, lower_id)
    _check_open(stream, upper_id)
    if hash_keys_of(stream["shards"][lower_id])[1] + 1 != hash_keys_of(stream["shards"][upper_id])[0]:
        raise Refused(
            "InvalidArgumentException",
            f"Shards {lower_id} and {upper_id} in {place(stream)} are not an adjacent pair of shards eligible for "
            "merging",
        )


def check_rescale(stream: Stream, count: int) -> int:
    """Refuse the counts that AWS's UpdateShardCount refuses; otherwise return the number of open shards."""
    _check_provisioned(stream)
    if count < 1:
        raise invalid("targetShardCount", count, "have value greater than or equal to 1")
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
    """The handlers of SplitShard, MergeShards and UpdateShardCount."""

    def split_shard(request: Request) -> dict[str, Any]:
        stream, shard_id = found(resolve, request), request.get("ShardToSplit", "")
        at = str(request.get("NewStartingHashKey"))
        if not at.isdecimal():
            raise invalid("newStartingHashKey", at, "satisfy regular expression pattern: 0|([1-9]\\d{0,38})")
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
            raise invalid("scalingType", scaling, "satisfy enum value set: [UNIFORM_SCALING]")
        current = check_rescale(stream, target)
        rescale(stream, target, next_sequence)
        return {
            "StreamName": stream["StreamName"],
            "CurrentShardCount": current,
            "TargetShardCount": target,
            "StreamARN": stream["StreamARN"],
        }

    return handler(split_shard), handler(merge_shards), handler(update_shard_count)


def with_shard_count(update: UpdateResource, resolve: Resolve, next_sequence: NextSequence) -> UpdateResource:
    """CloudFormation's update of a stream, which also applies a changed ShardCount.

    Raises:
        Refused: on a call of the result, if UpdateShardCount would refuse the count; the stack rolls back.
    """

    def updated(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> Any:
        name, stream = resolve({"StreamName": physical_id})
        stays = new.get("Name", name) == name
        if stream and stays and "ShardCount" in new and str(new["ShardCount"]) != str(old.get("ShardCount")):
            check_rescale(stream, int(new["ShardCount"]))
            rescale(stream, int(new["ShardCount"]), next_sequence)
        return update(physical_id, old, new, stack)

    return updated


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
