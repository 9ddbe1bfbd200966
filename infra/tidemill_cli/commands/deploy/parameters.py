"""The template's parameters that `tidemill deploy` is given, and the rules and the architecture among them.

Room: command line.
Tests: tests/e2e/test_deploy.py.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill_cli.errors import CommandError
from tidemill_deploy.packaging.application import BUILT_IN, find
from tidemill_deploy.packaging.archive import Package
from tidemill_deploy.packaging.errors import RulesNotFound
from tidemill_deploy.packaging.functions import ARCHITECTURES
from tidemill_deploy.packaging.packages import package
from tidemill_deploy.packaging.wheels import Target
from tidemill_deploy.stack.stack import State
from tidemill_deploy.template import TemplateError, python_version

FILLED_IN = {
    "Rules": "use --rules",
    "Architecture": "use --architecture",
    "DrainedBy": "tidemill destroy sets it",
    "CodeBucket": "the functions' code is put there",
}
"""Parameters of the template that are not given by name -> why."""


SECRET, SECRET_VARIABLE = "ApplicationSecret", "TIDEMILL_APPLICATION_SECRET"
"""The parameter that others could read in the list of processes, and where else it may come from."""


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """The arguments that become parameters."""
    parser.add_argument(
        "--rules",
        metavar="MODULE|FOLDER",
        help=f"the module that holds RULES, or its folder (default: the stack's, or {BUILT_IN})",
    )
    parser.add_argument(
        "--architecture", choices=ARCHITECTURES, help="of the functions (default: the stack's, or arm64)"
    )
    parser.add_argument(
        "--parameter",
        type=_parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template, such as ShardCount=4; NAME=@FILE takes what a file holds; may be repeated. "
        "The others stay as they are",
    )


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a deployment.

    Attributes:
        args: the command's.
        template: what the template says.
        state: the stack as it is; None of a new one.
    """

    args: argparse.Namespace
    template: Mapping[str, Any]
    state: State | None

    def values(self) -> dict[str, str]:
        """The values that are given; the others stay as they are.

        Raises:
            TemplateError: the template has no such parameter.
        """
        given = self._given
        declared = self.template.get("Parameters", {})
        if unknown := sorted(given.keys() - declared.keys()):
            raise TemplateError(f"the template has no parameter {', '.join(unknown)}; it has {', '.join(declared)}")
        return {**given, "Rules": find(self._rules).rules, "Architecture": self._architecture}

    def all(self) -> dict[str, str]:
        """Every parameter's value: the given one, the stack's own, or the default."""
        defaults = {
            name: str(one["Default"]) for name, one in self.template.get("Parameters", {}).items() if "Default" in one
        }
        return {**defaults, **(self.state.parameters if self.state else {}), **self._given}

    def packages(self, folder: Path) -> list[Package]:
        """Make the functions' packages there.

        Raises:
            PackagingError: they cannot be made.
            CommandError: no rules were named, and those of the stack are not here.
        """
        try:
            return package(self._rules, Target(self._architecture, python_version(self.template)), folder)
        except RulesNotFound as error:
            if self.args.rules:
                raise
            raise CommandError(
                f"the stack has the rules of {self._rules}; say where they are by --rules: {error}"
            ) from None

    @property
    def _given(self) -> dict[str, str]:
        secret = os.environ.get(SECRET_VARIABLE)
        return {**({SECRET: secret} if secret else {}), **dict(self.args.parameter)}

    @property
    def _rules(self) -> str:
        return str(self.args.rules or self.all().get("Rules") or BUILT_IN)

    @property
    def _architecture(self) -> str:
        return str(self.args.architecture or self.all().get("Architecture") or ARCHITECTURES[0])


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if name in FILLED_IN or name.endswith("CodeKey"):
        why = FILLED_IN.get(name, "the functions' code is put there")
        raise argparse.ArgumentTypeError(f"{name} is filled in: {why}")
    if name == SECRET and not value.startswith("@"):
        raise argparse.ArgumentTypeError(
            f"others can read {SECRET} in the list of processes; use {SECRET}=@FILE, or the variable {SECRET_VARIABLE}"
        )
    if not value.startswith("@"):
        return name, value
    try:
        return name, Path(value[1:]).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = CommandError(f"{value[1:]} cannot be read: {getattr(error, 'strerror', error)}")
        raise argparse.ArgumentTypeError(str(problem)) from None
