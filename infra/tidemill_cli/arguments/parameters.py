"""The template's parameters as arguments of a command: --parameter NAME=VALUE, and the secret that stands elsewhere.

Room: command line.
Tests: tests/e2e/test_up.py.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

SECRET, SECRET_VARIABLE = "ApplicationSecret", "TIDEMILL_APPLICATION_SECRET"
"""The parameter that everybody who lists processes could read on the command line, and where else it may come from."""

WhyFilledIn: TypeAlias = Callable[[str], str | None]
"""From a parameter's name to why the command fills it in; None if it is given by name."""


def add_parameter(parser: argparse.ArgumentParser, why_filled_in: WhyFilledIn, examples: str, more: str) -> None:
    """The argument that gives a parameter by name.

    Args:
        parser: the command's.
        why_filled_in: tells the parameters that are not given so.
        examples: of parameters, for the help.
        more: how the help ends.
    """
    parser.add_argument(
        "--parameter",
        type=partial(_parameter, why_filled_in),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"a parameter of the template, such as {examples}; NAME=@FILE takes what a file holds; may be repeated. "
        f"{more}",
    )


def given(args: argparse.Namespace) -> dict[str, str]:
    """The parameters that were given, the secret by its variable too."""
    secret = os.environ.get(SECRET_VARIABLE)
    return {**({SECRET: secret} if secret else {}), **dict(args.parameter)}


def _parameter(why_filled_in: WhyFilledIn, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if why := why_filled_in(name):
        raise argparse.ArgumentTypeError(f"{name} is filled in: {why}")
    if value.startswith("@"):
        return name, _contents(Path(value[1:]))
    if name == SECRET and value:
        raise argparse.ArgumentTypeError(
            f"others can read {SECRET} in the list of processes; use {SECRET}=@FILE, or the variable {SECRET_VARIABLE}"
        )
    return name, value


def _contents(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
