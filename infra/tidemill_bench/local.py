"""The local platform for a load test: its parameters, its metered functions, and their usage by their logs.

Room: local platform, I/O.
Tests: tests/e2e/test_bench.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from botocore.credentials import Credentials

from tidemill_bench.counting import read_log, spent
from tidemill_bench.driver import Stack
from tidemill_consumers.metering.capacity import LINE
from tidemill_load.results.result import Mode
from tidemill_load.results.spent import Spent
from tidemill_local.clients import REGION, ROOT_KEY

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

    from tidemill_local.platform import Platform

ORDER_RULES: Final = "tidemill_bench.order_rules"
"""The rules that a load test needs, for it to see that nothing is lost, double or out of order."""

HANDLERS: Final = {
    "ApplyFunctionName": "tidemill_consumers.metering.metered.apply_handler",
    "DirectFunctionName": "tidemill_consumers.metering.metered.direct_handler",
}

LOGS: Final = ("ApplyLogGroupName", "DirectLogGroupName")

ENVIRONMENTS: Final = 4
"""Environments of the direct function for each processor."""

PATIENCE: Final = 5.0
"""Seconds to wait for the last lines of a log."""


def parameters(window: int, batch: int, shards: int) -> dict[str, str]:
    """The template's parameters for a load test. The archive is left out of it as far as that goes."""
    return {
        "DirectEndpoint": "on",
        "Rules": ORDER_RULES,
        "BatchingWindowSeconds": str(window),
        "BatchSize": str(batch),
        "ShardCount": str(shards),
        "ArchiveIntervalSeconds": "900",
    }


def stack_of(platform: Platform, window: float) -> Stack:
    """The platform's stack, with meters in its functions."""
    emulator = platform.emulator
    functions = emulator.client("lambda")
    for output, handler in HANDLERS.items():
        functions.update_function_configuration(FunctionName=platform.outputs[output], Handler=handler)
    root = emulator.session(ROOT_KEY, ROOT_KEY)
    # As many of a function's environments run as requests are under way, and here all share the processors.
    connections = ENVIRONMENTS * (os.cpu_count() or 1)
    return Stack(root.client, platform.outputs, Credentials(ROOT_KEY, ROOT_KEY), REGION, window, connections)


class LogCounting:
    """Counts by the functions' logs, once they show all invocations that the event source mappings count.

    Args:
        platform: where.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._logs: CloudWatchLogsClient = platform.emulator.client("logs")
        self._since = 0
        self._before = 0

    def begin(self) -> None:
        """Note the time, and the count."""
        self._since = int(time.time() * 1000)
        self._before = self._mapped()

    def end(self, mode: Mode) -> Spent:
        """The usage of all functions since `begin`: requests that rules emit are applied by another than the mode's."""
        deadline = time.monotonic() + PATIENCE
        lines = self._read()
        while not self._is_whole(lines) and time.monotonic() < deadline:
            time.sleep(0.1)
            lines = self._read()
        return spent(line for of_function in lines.values() for line in of_function)

    def _read(self) -> dict[str, list[str]]:
        outputs = self._platform.outputs
        return {output: read_log(self._logs, outputs[output], self._since) for output in LOGS}

    def _mapped(self) -> int:
        """Invocations by mappings so far."""
        return sum(source.counts.invocations for source in self._platform.event_sources)

    def _is_whole(self, lines: Mapping[str, Sequence[str]]) -> bool:
        """Whether each invocation has both its lines, and those by mappings are all there."""
        reports = {output: sum(line.startswith("REPORT ") for line in its) for output, its in lines.items()}
        meters = {output: sum(line.startswith(LINE) for line in its) for output, its in lines.items()}
        return reports == meters and reports["ApplyLogGroupName"] == self._mapped() - self._before
