"""The alarms of a local platform: which are on, and a line when one goes on or off.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/up/test_alarms.py, tests/e2e/test_up.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.watching.alarms import Alarms

LOOK_SECONDS: Final = 5.0
"""Between two looks: the shortest period of an alarm is a minute."""


class WatchedAlarms:
    """The alarms of a platform.

    Args:
        alarms: that are evaluated.
        clock: seconds since 1970.
    """

    def __init__(self, alarms: Alarms, clock: Callable[[], float] = time.time) -> None:
        self._alarms = alarms
        self._clock = clock
        self._looked_at = float("-inf")

    @property
    def on(self) -> tuple[str, ...]:
        """The names of those that are on, sorted."""
        return tuple(sorted(self._alarms.on))

    def changed(self) -> Iterator[str]:
        """A line for each that has gone on or off since the last look; none while the emulator does not answer."""
        now, before = self._clock(), self._alarms.on
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        try:
            self._alarms.look(now)
        except (ClientError, BotoCoreError):
            return  # what was measured stays; the next look measures the rest
        after = self._alarms.on
        yield from (f"alarm {name}: {self._alarms.description(name)}" for name in sorted(after - before))
        yield from (f"alarm {name} is over" for name in sorted(before - after))
