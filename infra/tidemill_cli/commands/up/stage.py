"""The analytics stage beside a platform: `tidemill up --analytics`.

Room: command line.
Tests: tests/analytics_sql/stream/platform.py, which needs PyFlink.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tidemill_cli.analytics import JobDied, Wanted, prepared, stack_of, state_folder
from tidemill_cli.analytics.job import Job
from tidemill_cli.analytics.tools import Tools
from tidemill_cli.stack import LOCAL_REGION, Access
from tidemill_local.platform import Platform

FOLDER = "analytics"
"""In the platform's state folder: the stage's."""


class Stage:
    """A stage that may run, and may end while the platform runs."""

    def __init__(self, job: Job | None) -> None:
        self._job = job

    def changed(self) -> Iterator[str]:
        """A line to show, once, if it has ended."""
        if self._job is None:
            return
        try:
            self._job.check(0)
        except JobDied as died:
            self._job = None
            yield f"the analytics stage has ended, and its requests wait on the stream: {died}"


def with_stage(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a stack whose requests a stage takes: from now on, unless they say since when."""
    periods = parameters.get("AnalyticsPeriods") or f"{int(time.time())}-"
    return {**parameters, "Analytics": "on", "AnalyticsPeriods": periods}


@contextmanager
def stage_of(
    platform: Platform, needed: Tools | None, state: Path | None, say: Callable[[str], None]
) -> Iterator[Stage]:
    """The stage of a platform, which ends with the block.

    Args:
        platform: it runs.
        needed: what the stage needs; None: there shall be none.
        state: the platform's state folder.
        say: tells a line.

    Raises:
        CommandError: it cannot start.
    """
    if needed is None:
        yield Stage(None)
        return
    where = Access(platform.emulator.endpoint_url, LOCAL_REGION)
    with state_folder(state / FOLDER if state else None) as folder:
        found = prepared(needed, where, stack_of(where, None), Wanted(), folder)
        say(f"the analytics stage: {found.told}")
        with found.job as job:
            say(f"the analytics stage: {found.runs}")
            yield Stage(job)
