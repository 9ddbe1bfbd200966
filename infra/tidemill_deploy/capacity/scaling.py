"""Changes the number of a stream's shards, step by step, and waits for each.

Room: capacity. Makes DescribeStreamSummary and UpdateShardCount calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from tidemill_deploy.capacity.steps import MOST_CHANGES, CannotScale, steps

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

POLL_SECONDS = 2.0
"""Seconds between two looks at the stream. An account has 20 of them a second."""

PATIENCE = 3600.0
"""Seconds that a step may take. AWS states none; a split takes about half a minute, and many run at once."""


class Shards(NamedTuple):
    """A stream's shards.

    Attributes:
        open: how many take records.
        is_active: whether the stream is not being changed.
        is_on_demand: whether the stream splits and merges them by itself.
    """

    open: int
    is_active: bool
    is_on_demand: bool


def shards_of(kinesis: KinesisClient, stream: str) -> Shards:
    """The stream's shards."""
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    mode = summary.get("StreamModeDetails", {}).get("StreamMode")
    return Shards(summary["OpenShardCount"], summary["StreamStatus"] == "ACTIVE", mode == "ON_DEMAND")


def scale(
    kinesis: KinesisClient,
    stream: str,
    wanted: int,
    tell: Callable[[str], object] = lambda line: None,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[int, ...]:
    """Change the number of shards; those that the stream has gone through, from the first to the last.

    If it is interrupted, AWS ends the step at hand; run again, it goes on from there.

    Args:
        kinesis: a boto3 Kinesis client.
        stream: the stream's name.
        wanted: how many shards it shall have.
        tell: is told a line at each step.
        pause: sleeps for some seconds.
        clock: seconds, of whatever beginning.

    Raises:
        CannotScale: it is an on-demand stream, the number cannot be reached, or AWS refuses a step for the day.
        ClientError: another call fails.
    """
    found = _settled(kinesis, stream, None, tell, pause, clock)
    if found.is_on_demand:
        raise CannotScale(f"{stream} is an on-demand stream, which splits and merges its shards by itself")
    plan = steps(found.open, wanted)
    if not plan:
        tell(f"{stream} has {_counted(wanted)}")
    for number, target in enumerate(plan, 1):
        tell(f"step {number} of {len(plan)}: to {_counted(target)}")
        try:
            kinesis.update_shard_count(StreamName=stream, TargetShardCount=target, ScalingType="UNIFORM_SCALING")
        except ClientError as error:
            raise _refused(error, stream, (found.open, *plan)[number - 1]) from None
        _settled(kinesis, stream, target, tell, pause, clock)
    return (found.open, *plan)


def _settled(
    kinesis: KinesisClient,
    stream: str,
    target: int | None,
    tell: Callable[[str], object],
    pause: Callable[[float], object],
    clock: Callable[[], float],
) -> Shards:
    """The shards once the stream is not being changed, and has as many as it shall have."""
    begun = clock()
    while True:
        found = shards_of(kinesis, stream)
        if found.is_active and target in (None, found.open):
            return found
        waited = clock() - begun
        if waited > PATIENCE:
            raise CannotScale(f"{stream} is still being changed after {waited / 60:.0f} minutes; run it again later")
        tell(f"{stream} is being changed: {_counted(found.open)} open, {waited:.0f} s")
        pause(POLL_SECONDS)


def _refused(error: ClientError, stream: str, has: int) -> Exception:
    if error.response["Error"]["Code"] != "LimitExceededException":
        return error
    return CannotScale(
        f"{error.response['Error'].get('Message', error)}. {stream} has {_counted(has)}. A stream may be changed "
        f"{MOST_CHANGES} times in 24 hours, and an account has a quota of shards (Service Quotas, Kinesis)"
    )


def _counted(shards: int) -> str:
    return f"{shards:,} shard{'s' if shards != 1 else ''}"
