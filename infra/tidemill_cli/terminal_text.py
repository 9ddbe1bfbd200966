"""Text from clients, made safe for terminals and pipes; the console, and progress.

Room: command line. Rich is imported by those who show something with it: an error is told without it.
Tests: tests/infra/tidemill_cli/commands/test_query.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_WITHOUT_TERMINAL = 160


def printable(text: str) -> str:
    """The text with control characters escaped: text from clients must not steer the terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


def console() -> Console:
    """Rich honours NO_COLOR and writes no colour into a pipe; it cannot know a pipe's width."""
    from rich.console import Console

    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)


@contextmanager
def progress(text: str, otherwise: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Tells on stderr how far something is: on a terminal in one line, which changes.

    Args:
        text: the line at first.
        otherwise: told each line where there is no terminal.
    """
    from rich.console import Console

    out = Console(stderr=True, highlight=False)
    if not out.is_terminal:
        yield otherwise
        return
    with out.status(text) as status:
        yield status.update


def print_on_stderr(line: str) -> None:
    """Print a line there at once."""
    print(line, file=sys.stderr, flush=True)
