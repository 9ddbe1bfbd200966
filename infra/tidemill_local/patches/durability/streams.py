"""The records of Kinesis's streams: each is journaled as its shard stores it, and put back at its place.

Room: local platform.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill_local.patches.durability.recorder import Recorder
    from tidemill_local.patches.kinesis.api import Handler, Request, Response

log = logging.getLogger(__name__)


def hook(kinesis: Any, recorder: Recorder) -> None:
    """Have each put record journaled before its caller is answered."""
    get_state = kinesis.get_state
    kinesis.get_state = lambda: _plain(get_state())
    kinesis._put_record = _journaling_put(kinesis._put_record, kinesis, recorder)
    kinesis._put_records = _journaling_put(kinesis._put_records, kinesis, recorder)
    kinesis.put_record_internal = _journaling_inner_put(kinesis.put_record_internal, kinesis, recorder)


def put_back(kinesis: Any, entry: dict[str, Any]) -> None:
    """Put a journaled record back into its shard, unless the snapshot has it already."""
    stream = kinesis._streams.get_scoped(entry["account"], entry["region"], entry["stream"])
    shard = stream["shards"].get(entry["shard"]) if stream else None
    if shard is None:
        log.warning("a record of %s is lost: neither the stream nor the shard is there", entry["stream"])
        return
    records, record = shard["records"], entry["record"]
    if not records or records[-1]["SequenceNumber"] < record["SequenceNumber"]:
        records.append(record)


def _journaling_put(put: Handler, kinesis: Any, recorder: Recorder) -> Handler:
    def journaling(request: Request) -> Response:
        answer = put(request)
        if answer[0] == 200:
            _, stream = kinesis._resolve_stream(request)
            said = json.loads(answer[2])
            for result in said.get("Records", [said]):
                if "SequenceNumber" in result:
                    recorder.append(_entry(stream, result["ShardId"], _stored(stream, result)))
        return answer

    return journaling


def _journaling_inner_put(
    put: Callable[[str, str, bytes], bool], kinesis: Any, recorder: Recorder
) -> Callable[..., bool]:
    """The put by which the emulator's other services forward data. Its record is journaled, so it is not replayed."""

    def journaling(stream_arn: str, partition_key: str, data: bytes) -> bool:
        done = recorder.replaying or put(stream_arn, partition_key, data)
        if done and not recorder.replaying:
            stream = kinesis._resolve_stream_by_arn(stream_arn)
            shard = kinesis._route_to_shard(kinesis._partition_key_to_hash(partition_key), stream)
            recorder.append(_entry(stream, shard, stream["shards"][shard]["records"][-1]))
        return done

    return journaling


def _stored(stream: dict[str, Any], result: dict[str, str]) -> dict[str, Any]:
    """The record as the shard stores it; it was just put, so it is among the last."""
    records = stream["shards"][result["ShardId"]]["records"]
    found: dict[str, Any] = next(one for one in reversed(records) if one["SequenceNumber"] == result["SequenceNumber"])
    return found


def _entry(stream: dict[str, Any], shard: str, record: dict[str, Any]) -> dict[str, Any]:
    """The journal's entry for a put record. Account and region are the stream's, which may not be the caller's."""
    _, _, _, region, account, _ = stream["StreamARN"].split(":", 5)
    return {"account": account, "region": region, "stream": stream["StreamName"], "shard": shard, "record": record}


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The streams' state without this package's own `tidemill_` keys, which are valid for this process only."""
    for stream in state["streams"]._data.values():
        for part in (stream, *stream["shards"].values()):
            for name in [name for name in part if name.startswith("tidemill_")]:
                del part[name]
    return state
