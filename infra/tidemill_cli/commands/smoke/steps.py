"""The steps of `tidemill smoke`, in order, each with its time: one that fails does not keep the next from being tried.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Literal, TypeAlias

from tidemill_cli.commands.smoke.archived import in_the_archive
from tidemill_cli.commands.smoke.failures import Skipped, why
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.quarantined import to_and_fro
from tidemill_cli.commands.smoke.removal import of_what_was_made
from tidemill_cli.commands.smoke.result import Outcome
from tidemill_cli.commands.smoke.running import in_the_log
from tidemill_cli.commands.smoke.signed_in import as_signed_in_user
from tidemill_cli.commands.smoke.subject import UnderTest
from tidemill_cli.commands.smoke.ways_in import by_http, by_plain_record, by_sdk

Step: TypeAlias = Callable[[UnderTest, Hearing], str]
"""Tries one thing; what was seen. Raises Skipped, or StepFailed or another error."""

STEPS: dict[str, Step] = {
    "sdk": by_sdk,
    "plain": by_plain_record,
    "direct": by_http,
    "user": as_signed_in_user,
    "quarantine": to_and_fro,
    "archive": in_the_archive,
    "metrics": in_the_log,
}

REMOVAL = "removal"
"""The last step, which is done even where the others were interrupted."""


def outcomes(stack: UnderTest, tell: Callable[[str], None]) -> Generator[Outcome, None, None]:
    """Try everything, and remove what that left behind.

    Args:
        stack: that is tried.
        tell: told what is under way.
    """
    hearing = Hearing(stack, tell)
    with closing(stack):
        try:
            for name, step in STEPS.items():
                tell(f"{name} …")
                yield _outcome(name, step, stack, hearing)
        finally:
            tell(f"{REMOVAL} …")
            removed = _outcome(REMOVAL, of_what_was_made, stack, hearing)
        yield removed


def _outcome(name: str, step: Step, stack: UnderTest, hearing: Hearing) -> Outcome:
    begun = time.monotonic()
    verdict: Literal["pass", "fail", "skip"] = "pass"
    try:
        detail = step(stack, hearing)
    except Skipped as error:
        verdict, detail = "skip", str(error)
    except Exception as error:  # whatever is wrong with a stack that has never run: the next step may tell more
        verdict, detail = "fail", why(error)
    return Outcome(name, verdict, detail, time.monotonic() - begun)
