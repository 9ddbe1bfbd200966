"""A stream's shards over time: parents close and keep their records, children take over their hash keys.

Room: local platform, pure on a stream's dict but for `install`: sequence numbers and time are arguments.
Tests: tests/infra/tidemill_local/patches/kinesis/test_resharding.py.

https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html names the states: a
shard is OPEN, then CLOSED (no more writes; readable until its retention ends), then EXPIRED (gone).
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.kinesis.api import Stream
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Shard: TypeAlias = dict[str, Any]
"""A shard as the emulator holds it; a closed one has `ending_sequence_number` besides."""

NextSequence: TypeAlias = "Callable[[], str]"

HASH_KEYS = 2**128

ROUNDING = 10_000
"""The most hash keys by which divisions by different counts may differ at the same boundary: one for each shard."""

_ROUTES = "tidemill_routes"


def install() -> None:
    """Have sequence numbers rise even if the clock does not, and records expire without copying the others.

    Installed before the other patches of Kinesis, which call these functions.

    Needs of the emulator:
        kinesis._expire_records: drops what is past a stream's retention; closed shards go too.
        kinesis._next_sequence_number: makes a sequence number, of the clock.
    """
    from ministack.services import kinesis

    require(kinesis, "_expire_records", "_next_sequence_number")
    kinesis._expire_records = lambda stream: expire_head(stream, time.time())
    kinesis._next_sequence_number = sequence_numbers(time.time)


def sequence_numbers(clock: Callable[[], float]) -> NextSequence:
    """Makes sequence numbers in the emulator's form, which begins with the time in milliseconds.

    They rise even if the clock is set back: the search for a record in a shard relies on that, and so do readers.
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
    return [shard_id for _, shard_id in _starts(stream)]


def route(hash_key: int, stream: Stream) -> str:
    """The id of the shard that takes a record of this hash key."""
    starts, ids = _routes(stream)
    return ids[bisect_right(starts, hash_key) - 1]


def children(stream: Stream, shard_id: str) -> list[dict[str, Any]]:
    """The shards that took over from this one, as GetRecords lists them at its end."""
    return [
        {
            "ShardId": child_id,
            "ParentShards": parents_of(child),
            "HashKeyRange": {
                "StartingHashKey": child["starting_hash_key"],
                "EndingHashKey": child["ending_hash_key"],
            },
        }
        for child_id, child in sorted(stream["shards"].items())
        if shard_id in parents_of(child)
    ]


def split(stream: Stream, shard_id: str, at: int, next_sequence: NextSequence) -> tuple[str, str]:
    """Close the shard; its hash keys below `at` go to one new shard, the others to a second. Returns their ids."""
    low, high = hash_keys_of(stream["shards"][shard_id])
    _close(stream, [shard_id], next_sequence)
    return (
        _add(stream, (low, at - 1), [shard_id], next_sequence),
        _add(stream, (at, high), [shard_id], next_sequence),
    )


def merge(stream: Stream, lower_id: str, upper_id: str, next_sequence: NextSequence) -> str:
    """Close two neighbours; all their hash keys go to one new shard. Returns its id."""
    low, _ = hash_keys_of(stream["shards"][lower_id])
    _, high = hash_keys_of(stream["shards"][upper_id])
    _close(stream, [lower_id, upper_id], next_sequence)
    return _add(stream, (low, high), [lower_id, upper_id], next_sequence)


def rescale(stream: Stream, count: int, next_sequence: NextSequence) -> None:
    """Split and merge until `count` open shards divide the hash keys evenly.

    The order is the one observed on AWS (4 shards to 3 leave 6, 9 and 10 open): from the lowest hash key up, split
    the shard that crosses the next boundary, then merge the shards below it.
    """
    below = 0
    for boundary in _boundaries(stream, count):
        crossing = route(boundary - 1, stream)
        if boundary <= hash_keys_of(stream["shards"][crossing])[1]:
            split(stream, crossing, boundary, next_sequence)
        starts, ids = _routes(stream)
        merged, *others = ids[bisect_left(starts, below) : bisect_left(starts, boundary)]
        for other in others:
            merged = merge(stream, merged, other, next_sequence)
        below = boundary


def expire_head(stream: Stream, now: float) -> None:
    """Drop the records past their retention, and closed shards that are empty then.

    The emulator rebuilds every list on every call, which costs 86 ms at 200,000 records stored. Records are in order
    of arrival, so checking the first is enough.
    """
    cutoff = now - stream["RetentionPeriodHours"] * 3600
    for shard in stream["shards"].values():
        records = shard["records"]
        if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
            shard["records"] = [r for r in records if r["ApproximateArrivalTimestamp"] >= cutoff]
    forget_expired(stream, cutoff)


def forget_expired(stream: Stream, cutoff: float) -> None:
    """Drop the closed shards that are empty and were closed before `cutoff`.

    Their children still name them as parents, as on AWS.
    """
    shards = stream["shards"]
    expired = [
        shard_id
        for shard_id, shard in shards.items()
        if not is_open(shard) and not shard["records"] and moment(shard["ending_sequence_number"]) < cutoff
    ]
    for shard_id in expired:
        del shards[shard_id]


def hash_keys_of(shard: Shard) -> tuple[int, int]:
    """A shard's first and last hash key."""
    return int(shard["starting_hash_key"]), int(shard["ending_hash_key"])


def parents_of(shard: Shard) -> list[str]:
    """The ids of the shards whose hash keys this one took over: none, one, or the two of a merge."""
    return [parent for parent in (shard["parent_shard_id"], shard["adjacent_parent_shard_id"]) if parent]


def _routes(stream: Stream) -> tuple[Sequence[int], Sequence[str]]:
    """The first hash key and the id of each open shard; cached between reshards, because every record needs them."""
    if _ROUTES not in stream:
        routes = _starts(stream)
        stream[_ROUTES] = [start for start, _ in routes], [shard_id for _, shard_id in routes]
    starts, ids = stream[_ROUTES]
    return starts, ids


def _starts(stream: Stream) -> list[tuple[int, str]]:
    return sorted((hash_keys_of(shard)[0], i) for i, shard in stream["shards"].items() if is_open(shard))


def _boundaries(stream: Stream, count: int) -> list[int]:
    """The ends of the shards of an even division; a present boundary that differs only by rounding stays."""
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
    newest = max(stream["shards"])  # the newest shard is open, so it is never expired
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
