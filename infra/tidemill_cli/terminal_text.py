"""Showing what clients sent, on terminals and in pipes.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_query.py.
"""

from __future__ import annotations

from rich.console import Console

_WIDTH_WITHOUT_TERMINAL = 160


def printable(text: str) -> str:
    """What clients sent must not steer the terminal that shows it."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


def console() -> Console:
    """Rich honours NO_COLOR and writes no colour into a pipe; it cannot know a pipe's width."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
