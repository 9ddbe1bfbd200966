"""The question that a command's --yes answers beforehand.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_redrive.py.
"""

from __future__ import annotations

import sys

from tidemill_cli.errors import CommandError

YES = ("y", "yes")


def ask(question: str, purpose: str, nothing: str = "nothing was done", word: str | None = None) -> None:
    """Ask on the terminal.

    Args:
        question: what is printed, up to the answer.
        purpose: what --yes would do, for when there is no terminal.
        nothing: the message when the answer is another one.
        word: the answer that agrees; by default y or yes in any case.

    Raises:
        CommandError: there is no terminal, or nobody agrees.
    """
    if not sys.stdin.isatty():
        raise CommandError(f"there is no terminal to ask on; add --yes to {purpose}")
    print(question, end=" ", flush=True)
    answer = sys.stdin.readline().strip()
    if answer != word if word is not None else answer.lower() not in YES:
        raise CommandError(nothing)
