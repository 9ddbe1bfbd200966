"""A stream is changed step by step, each once the one before is done, and what AWS refuses is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tidemill_deploy.capacity.scaling import PATIENCE, scale, shards_of
from tidemill_deploy.capacity.steps import CannotScale

if TYPE_CHECKING:
    from tidemill_local.emulator import Emulator


class Slow:
    """A stream as AWS has it: a change takes some looks, and another is refused meanwhile."""

    def __init__(self, shards: int, looks: int = 2, allowed: int = 10, mode: str = "PROVISIONED") -> None:
        self.shards, self.target = shards, shards
        self.looks, self.left, self.allowed = looks, 0, allowed
        self.mode = mode
        self.asked: list[int] = []

    def describe_stream_summary(self, StreamName: str) -> dict[str, Any]:
        self.left = max(0, self.left - 1)
        if not self.left:
            self.shards = self.target
        status = "UPDATING" if self.left else "ACTIVE"
        return {
            "StreamDescriptionSummary": {
                "OpenShardCount": self.shards,
                "StreamStatus": status,
                "StreamModeDetails": {"StreamMode": self.mode},
            }
        }

    def update_shard_count(self, StreamName: str, TargetShardCount: int, ScalingType: str) -> None:
        assert not self.left, "it would be refused: ResourceInUseException"
        assert ScalingType == "UNIFORM_SCALING"
        if len(self.asked) == self.allowed:
            problem: Any = {"Error": {"Code": "LimitExceededException", "Message": "Rate exceeded"}}
            raise ClientError(problem, "UpdateShardCount")
        self.asked.append(TargetShardCount)
        self.target, self.left = TargetShardCount, self.looks


def run(kinesis: Any, wanted: int) -> tuple[tuple[int, ...], list[str]]:
    told: list[str] = []
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    return scale(kinesis, "s", wanted, told.append, pause, lambda: now[0]), told


def test_each_step_waits_for_the_one_before() -> None:
    slow = Slow(3, looks=4)
    counts, told = run(slow, 16)
    assert (counts, slow.asked) == ((3, 6, 12, 16), [6, 12, 16])
    assert [line for line in told if line.startswith("step")] == [
        "step 1 of 3: to 6 shards",
        "step 2 of 3: to 12 shards",
        "step 3 of 3: to 16 shards",
    ]
    assert any(line == "s is being changed: 3 shards open, 2 s" for line in told), told


def test_a_change_that_somebody_else_began_is_waited_for() -> None:
    slow = Slow(2)
    slow.update_shard_count("s", 4, "UNIFORM_SCALING")
    assert run(slow, 8)[0] == (4, 8)


def test_a_stream_that_has_as_many_is_left_alone() -> None:
    slow = Slow(2)
    assert run(slow, 2) == ((2,), ["s has 2 shards"])
    assert slow.asked == []


def test_a_days_limit_is_told_with_how_far_it_came() -> None:
    with pytest.raises(CannotScale, match=r"Rate exceeded\. s has 4 shards\. A stream may be changed 10 times in 24"):
        run(Slow(1, allowed=2), 16)


def test_an_on_demand_stream_is_refused() -> None:
    with pytest.raises(CannotScale, match="on-demand stream, which splits and merges its shards by itself"):
        run(Slow(4, mode="ON_DEMAND"), 8)


def test_a_step_that_does_not_end_is_given_up() -> None:
    with pytest.raises(CannotScale, match="still being changed after 60 minutes"):
        run(Slow(1, looks=int(PATIENCE)), 2)


def test_another_error_is_aws_own() -> None:
    class Denied(Slow):
        def update_shard_count(self, StreamName: str, TargetShardCount: int, ScalingType: str) -> None:
            problem: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
            raise ClientError(problem, "UpdateShardCount")

    with pytest.raises(ClientError, match="AccessDenied"):
        run(Denied(1), 2)


def test_the_local_platform_goes_all_the_steps(emulator: Emulator, stream: str) -> None:
    kinesis = emulator.client("kinesis")
    first = shards_of(kinesis, stream)
    counts = scale(kinesis, stream, 7 * first.open)
    assert counts[-1] == 7 * first.open == shards_of(kinesis, stream).open
    assert scale(kinesis, stream, 1)[-1] == 1 == shards_of(kinesis, stream).open
