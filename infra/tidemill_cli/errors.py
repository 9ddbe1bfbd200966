"""Errors of a command: a line on stderr, and an exit code.

Room: command line. Imports no library: one that is not installed must not keep the command line from saying so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

from tidemill_cli.terminal_text import printable

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: failed, or a check did not hold; wrong usage; stopped by a signal."""


class CommandError(Exception):
    """The command cannot do what it was asked to; says why, and what to run instead."""


def complain(command: str, text: str) -> None:
    """Print a line on stderr, behind the command's name."""
    print(f"tidemill {command}: {printable(text)}", file=sys.stderr)


def run_or_tell(command: str, work: Callable[[], int], *expected: type[Exception], after_aws: str | None = None) -> int:
    """Do a command's work; an error that is expected is told in a line.

    Args:
        command: its name.
        work: gives the exit code.
        expected: errors whose messages are for the user, beside CommandError and OSError.
        after_aws: what follows the message of an error of botocore; None leaves those to `main`.

    Returns:
        The exit code.

    Raises:
        BrokenPipeError: whoever read the output has gone, and nothing is to be said of it.
    """
    told: tuple[type[Exception], ...] = (CommandError, OSError, *expected)
    try:
        return work()
    except BrokenPipeError:
        raise
    except told as error:
        complain(command, str(error))
    except _of_botocore() as error:
        if after_aws is None:
            raise
        complain(command, f"{error}{after_aws}")
    return FAILED


def of_aws(error: Exception) -> str | None:
    """The message of an error of AWS, or of the way there, and its remedy; None of any other error."""
    if not isinstance(error, _of_botocore()):
        return None
    response = getattr(error, "response", None)  # a ClientError has one
    code = response["Error"].get("Code", "") if response else type(error).__name__
    remedies = import_module("tidemill.errors").REMEDIES
    remedy = remedies.get(code) or remedies.get(f"{code}Exception")  # S3 and STS leave that word away
    return f"{error}; {remedy}" if remedy else f"{error}"


def _of_botocore() -> tuple[type[Exception], ...]:
    """Botocore's errors; none where it was not imported, for nothing can have raised them."""
    known = sys.modules.get("botocore.exceptions")
    return (known.ClientError, known.BotoCoreError) if known else ()
