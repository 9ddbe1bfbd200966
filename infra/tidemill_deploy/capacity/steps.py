"""The steps by which a stream goes from one number of shards to another.

Room: capacity. Pure. UpdateShardCount goes to double or half at most, ten times in any 24 hours, and to 10,000 shards:
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html
"""

from __future__ import annotations

MOST_CHANGES = 10
"""Changes of a stream's number of shards in any 24 hours."""

MOST_SHARDS = 10_000
"""Most shards that a stream can be changed to have."""


class CannotScale(Exception):
    """The number of shards cannot be changed so; says why, and what to do instead."""


def steps(now: int, wanted: int) -> tuple[int, ...]:
    """The numbers of shards that a stream is changed to, one after another; none if it has that many.

    They double, or halve, and the last is the remainder, so there are as few as can be.

    Raises:
        CannotScale: there is no such number of shards, or it takes more changes than a day allows.
    """
    if not 1 <= wanted <= MOST_SHARDS:
        raise CannotScale(f"{wanted:,} shards: use 1 to {MOST_SHARDS:,}")
    found: list[int] = []
    while now != wanted:
        now = min(2 * now, wanted) if wanted > now else max(-(-now // 2), wanted)
        found.append(now)
    if len(found) > MOST_CHANGES:
        raise CannotScale(
            f"{wanted:,} shards take {len(found)} changes, each to double or half; {MOST_CHANGES} are allowed in 24 "
            f"hours: go to {found[MOST_CHANGES - 1]:,} first, and on a day later"
        )
    return tuple(found)
