"""Calls about Kinesis's streams that the emulator lacks, and corrections of calls that it has.

Room: local platform, pure on a stream's dict but for `install`, which fits it into the emulator.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidemill_local.patches.kinesis.api import Handler, Refused, Request, Resolve, Stream, found, handler, place
from tidemill_local.patches.kinesis.record_limits import LEAST_RECORD_KIB, MOST_RECORD_KIB
from tidemill_local.patches.kinesis.shard_state import open_shards
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

ON_DEMAND_SHARDS = 4
"""https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html: "4 MB/s write", at 1 MB/s a shard."""

MODES = ("PROVISIONED", "ON_DEMAND")
STRATEGIES = ("USER_PARTITION_KEY", "AUTO")
LEAST_HOURS, MOST_HOURS = 24, 8_760
MOST_SHARDS = 20_000
"""Default quota of shards in the largest regions:
https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html."""

SHARD_LIMIT, ON_DEMAND_LIMIT = 500, 50

_MONITORED = "ShardLevelMetrics"


def install() -> None:
    """Have Kinesis answer the calls that it lacks, and refuse streams that AWS does not allow.

    Needs of the emulator:
        kinesis.handle_request: handles all calls of Kinesis; those that it lacks are answered before it is asked.
        kinesis._streams, kinesis._consumers: all streams and consumers, for limits and tags.
        kinesis._create_stream: answers CreateStream; the mode and the number of shards are checked first.
        kinesis._build_shards: makes a stream's shards, as many as a stack's template says.
        kinesis._describe_stream, kinesis._describe_stream_summary: describe a stream; what they leave out is added.
        kinesis._resolve_stream: finds the stream that a request names.
    """
    from ministack.services import kinesis

    require(kinesis, "handle_request", "_streams", "_consumers", "_create_stream", "_build_shards")
    require(kinesis, "_describe_stream", "_describe_stream_summary", "_resolve_stream")
    resolve, summary = kinesis._resolve_stream, kinesis._describe_stream_summary
    kinesis._describe_stream_summary = with_monitoring(summary, resolve, "StreamDescriptionSummary")
    kinesis._describe_stream = with_monitoring(kinesis._describe_stream, resolve, "StreamDescription")
    calls = StreamCalls(resolve, kinesis._streams, kinesis._consumers)
    kinesis.handle_request = calls.answering(kinesis.handle_request)
    kinesis._build_shards = bounded(kinesis._build_shards)
    kinesis._create_stream = with_mode(kinesis._create_stream)


def with_mode(create_stream: Handler) -> Handler:
    """CreateStream, which opens four shards for an on-demand stream, and checks the mode and the number of shards."""

    def create(request: Request) -> Any:
        mode = (request.get("StreamModeDetails") or {}).get("StreamMode", MODES[0])
        if mode not in MODES:
            return _invalid_mode(mode).answer()
        count = request.get("ShardCount")
        if mode == "ON_DEMAND":
            count = count or ON_DEMAND_SHARDS
        if isinstance(count, int) and count > MOST_SHARDS:
            limit = f"This request would exceed the shard limit of {MOST_SHARDS} for this account and region."
            return Refused("LimitExceededException", limit).answer()
        return create_stream({**request, **({} if count is None else {"ShardCount": count})})

    return create


def bounded(build: Callable[..., Any]) -> Callable[..., Any]:
    """The emulator's function that makes a stream's shards, with a limit: a stack's ShardCount reaches it unchecked."""

    def put_right(count: int, *rest: Any) -> Any:
        if count > MOST_SHARDS:
            raise ValueError(f"ShardCount is {count}, and a stream has {MOST_SHARDS} shards at most")
        return build(count, *rest)

    return put_right


class StreamCalls:
    """The handlers of calls that the emulator lacks or answers differently from AWS.

    Args:
        resolve: finds the stream that a request names.
        streams: all streams of the caller's account and region, by name.
        consumers: all consumers of the caller's account and region, by ARN.
    """

    def __init__(
        self,
        resolve: Resolve,
        streams: Mapping[str, Stream],
        consumers: Mapping[str, dict[str, Any]],
    ) -> None:
        self._resolve = resolve
        self._streams = streams
        self._consumers = consumers
        self.handlers: Mapping[str, Handler] = {
            name: handler(do)
            for name, do in {
                "UpdateStreamMode": self._update_mode,
                "UpdateMaxRecordSize": self._update_record_size,
                "UpdateStreamRecordDistributionStrategy": self._update_strategy,
                "DescribeLimits": self._limits,
                "TagResource": self._tag,
                "UntagResource": self._untag,
                "ListTagsForResource": self._list_tags,
                "IncreaseStreamRetentionPeriod": lambda request: self._retain(request, more=True),
                "DecreaseStreamRetentionPeriod": lambda request: self._retain(request, more=False),
            }.items()
        }

    def answering(self, handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The emulator's handler of all calls of Kinesis, which tries these handlers first."""

        async def put_right(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
            ours = self.handlers.get(headers.get("x-amz-target", "").rpartition(".")[2])
            if ours is None:
                return await handle(method, path, headers, body, query)
            try:
                request = json.loads(body) if body else {}
            except ValueError:
                return Refused("SerializationException", "Invalid JSON").answer()
            return ours(request)

        return put_right

    def _update_mode(self, request: Request) -> dict[str, Any]:
        stream, mode = found(self._resolve, request), (request.get("StreamModeDetails") or {}).get("StreamMode")
        if mode not in MODES:
            raise _invalid_mode(mode)
        stream["StreamModeDetails"] = {"StreamMode": mode}
        return {}

    def _update_record_size(self, request: Request) -> dict[str, Any]:
        stream, size = found(self._resolve, request), request.get("MaxRecordSizeInKiB")
        if not isinstance(size, int) or not LEAST_RECORD_KIB <= size <= MOST_RECORD_KIB:
            raise Refused(
                "ValidationException",
                f"1 validation error detected: Value '{size}' at 'maxRecordSizeInKiB' failed to satisfy constraint: "
                f"Member must have value from {LEAST_RECORD_KIB} to {MOST_RECORD_KIB}",
            )
        stream["MaxRecordSizeInKiB"] = size
        return {}

    def _update_strategy(self, request: Request) -> dict[str, Any]:
        """The strategy is kept and described, but has no effect: records are placed by their partition key."""
        stream, strategy = found(self._resolve, request), request.get("RecordDistributionStrategy")
        if strategy not in STRATEGIES:
            raise Refused("ValidationException", f"RecordDistributionStrategy is one of {', '.join(STRATEGIES)}.")
        if strategy == "AUTO" and _mode(stream) != "ON_DEMAND":
            raise Refused("InvalidArgumentException", f"{place(stream)} is not in On-Demand mode.")
        stream["RecordDistributionStrategy"] = strategy
        return {}

    def _limits(self, request: Request) -> dict[str, Any]:
        on_demand = [one for one in self._streams.values() if _mode(one) == "ON_DEMAND"]
        provisioned = [one for one in self._streams.values() if _mode(one) != "ON_DEMAND"]
        return {
            "ShardLimit": SHARD_LIMIT,
            "OpenShardCount": sum(len(open_shards(one)) for one in provisioned),
            "OnDemandStreamCount": len(on_demand),
            "OnDemandStreamCountLimit": ON_DEMAND_LIMIT,
        }

    def _tag(self, request: Request) -> dict[str, Any]:
        self._tags(request).update(request.get("Tags") or {})
        return {}

    def _untag(self, request: Request) -> dict[str, Any]:
        tags = self._tags(request)
        for key in request.get("TagKeys") or []:
            tags.pop(key, None)
        return {}

    def _list_tags(self, request: Request) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(self._tags(request).items())]}

    def _tags(self, request: Request) -> dict[str, str]:
        """The tags of a stream or of a consumer."""
        arn = request.get("ResourceARN") or ""
        if "/consumer/" not in arn:
            owner: dict[str, Any] = found(self._resolve, {"StreamARN": arn})
        elif (consumer := self._consumers.get(arn)) is not None:
            owner = consumer
        else:
            raise Refused("ResourceNotFoundException", f"Consumer {arn} not found.")
        tags: dict[str, str] = owner.setdefault("tags", {})
        return tags

    def _retain(self, request: Request, *, more: bool) -> dict[str, Any]:
        stream, hours = found(self._resolve, request), request.get("RetentionPeriodHours")
        if not isinstance(hours, int) or not LEAST_HOURS <= hours <= MOST_HOURS:
            limit = f"Minimum allowed retention period is {LEAST_HOURS} hours, maximum {MOST_HOURS} hours"
            raise Refused("InvalidArgumentException", f"{limit}; requested was {hours} hours for {place(stream)}.")
        now = stream["RetentionPeriodHours"]
        if hours < now if more else hours > now:
            which = "longer" if more else "shorter"
            raise Refused(
                "InvalidArgumentException",
                f"Requested retention period ({hours} hours) for {place(stream)} must not be other than {which} than "
                f"the existing one ({now} hours).",
            )
        stream["RetentionPeriodHours"] = hours
        return {}


def with_monitoring(describe: Handler, resolve: Resolve, field: str) -> Handler:
    """A stream's description with the fields that the emulator omits: monitoring, record size, distribution."""

    def described(request: Request) -> Any:
        status, headers, body = describe(request)
        _, stream = resolve(request)
        if status != 200 or stream is None:
            return status, headers, body
        answer = json.loads(body)
        answer[field]["EnhancedMonitoring"] = [{_MONITORED: sorted(stream.get(_MONITORED, []))}]
        if field.endswith("Summary"):
            answer[field]["MaxRecordSizeInKiB"] = stream.get("MaxRecordSizeInKiB", LEAST_RECORD_KIB)
            answer[field]["RecordDistributionStrategy"] = stream.get("RecordDistributionStrategy", STRATEGIES[0])
        return status, headers, json.dumps(answer).encode()

    return described


def _mode(stream: Stream) -> str:
    return str(stream.get("StreamModeDetails", {}).get("StreamMode", MODES[0]))


def _invalid_mode(mode: object) -> Refused:
    return Refused(
        "ValidationException",
        f"1 validation error detected: Value '{mode}' at 'streamModeDetails.streamMode' failed to satisfy constraint: "
        f"Member must satisfy enum value set: [{', '.join(MODES)}]",
    )
