"""A load test of a stack that is there already, as on AWS: found by its outputs, refused when it is none for that."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tidemill_bench import aws
from tidemill_bench.cloudwatch import CloudWatchCounting
from tidemill_bench.driver import Stack
from tidemill_bench.local import LogCounting, parameters, stack_of
from tidemill_bench.session import Course
from tidemill_cli.commands import bench
from tidemill_cli.commands.bench.runs import NotPossible, on_aws
from tidemill_load.cost_model.prices import list_prices
from tidemill_load.results.result import Mode
from tidemill_load.workloads.scheduled_request import ScheduledRequest
from tidemill_local.deployment import Deployment
from tidemill_local.emulator import Emulator
from tidemill_local.platform import Platform


class Silent:
    """Tells nobody."""

    def begin(self, what: str) -> None:
        pass

    def __call__(self, text: str) -> None:
        pass


@pytest.fixture
def there(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulator is where AWS is."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


def course(*modes: Mode) -> Course:
    def scheduled(rate: float, turn: int) -> list[ScheduledRequest]:
        return [ScheduledRequest(n / rate, "content.view", f"content/{n % 3}", f"c{n % 2}", {}) for n in range(8)]

    return Course(modes, (8.0,), 1, scheduled, 20.0)


@pytest.mark.slow
def test_it_is_found_used_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a platform of its own, whose logs stand for CloudWatch: no emulator's CloudWatch counts."""
    with Platform(0, parameters(1, 100, 1)) as platform:
        stack_of(platform, 1)
        for name, value in platform.emulator.environment.items():
            monkeypatch.setenv(name, value)

        def counting(stack: Stack, modes: Sequence[Mode], tell: Callable[[str], None]) -> LogCounting:
            return LogCounting(platform)

        monkeypatch.setattr(aws, "counting", counting)
        monkeypatch.setattr(aws, "CONNECTIONS", 2)
        args = argparse.Namespace(stack="tidemill")
        found = on_aws(course("direct", "buffered"), args, Silent(), list_prices())
    direct, buffered = found.measurements
    for one in (direct, buffered):
        assert (one.requests, one.receipts, one.lost, one.duplicates, one.reordered) == (8, 8, 0, 0, 0)
    assert (direct.invocations, direct.memory_mb) == (8, 256)
    assert (buffered.records, buffered.memory_mb, buffered.shards) == (8, 1769, 1)
    assert (found.window, found.batch, found.stopped) == (1, 100, False)
    assert len(found.config_hash) == 12


@pytest.mark.usefixtures("there", "deployment")
def test_a_stack_that_is_none_for_load_tests_is_refused_with_what_it_lacks() -> None:
    args = argparse.Namespace(stack="probe")
    with pytest.raises(NotPossible, match=r"Rules=tidemill_bench\.order_rules$"):
        on_aws(course("buffered"), args, Silent(), list_prices())
    with pytest.raises(NotPossible, match=r"Rules=tidemill_bench\.order_rules DirectEndpoint=on$"):
        on_aws(course("direct"), args, Silent(), list_prices())


@pytest.mark.usefixtures("there")
def test_a_stack_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    assert bench.run(parser.parse_args(["--target", "aws", "--stack", "nowhere"])) == 1
    assert "no stack 'nowhere'" in capsys.readouterr().err


def test_cloudwatch_counts_the_functions_that_take_part(emulator: Emulator, deployment: Deployment) -> None:
    session = emulator.session("test", "test")
    made: list[Any] = []

    def client(service: str) -> Any:
        made.append(session.client(service))
        return made[-1]

    stack = Stack(client, deployment.outputs, Any, "us-east-1", 5, 1)  # type: ignore[arg-type] # nothing is signed
    counting = aws.counting(stack, ["buffered"], lambda _: None)
    assert isinstance(counting, CloudWatchCounting)
    assert counting.functions == {deployment.outputs["ApplyFunctionName"]: 1769}
    for one in made:
        one.close()
