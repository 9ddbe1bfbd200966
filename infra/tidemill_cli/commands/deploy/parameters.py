"""The template's parameters that `tidemill deploy` is given, and the rules and the architecture among them.

Room: command line.
Tests: tests/e2e/test_deploy.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill_cli.arguments.parameters import add_parameter, given
from tidemill_cli.errors import CommandError
from tidemill_deploy.packaging.application import BUILT_IN, find
from tidemill_deploy.packaging.archive import Package
from tidemill_deploy.packaging.errors import RulesNotFound
from tidemill_deploy.packaging.functions import ARCHITECTURES, have_traces, unheard_photos
from tidemill_deploy.packaging.packages import package
from tidemill_deploy.packaging.wheels import Target
from tidemill_deploy.stack.stack import State
from tidemill_deploy.template import TemplateError, check_together, python_version

FILLED_IN = {
    "Rules": "use --rules",
    "Architecture": "use --architecture",
    "DrainedBy": "tidemill destroy sets it",
    "CodeBucket": "the functions' code is put there",
    "AnalyticsCommands": "it is told by the rules",
    "AnalyticsGeneration": "use --new-generation",
    "AnalyticsBegin": "use --new-generation",
    "AnalyticsRestore": "use --new-generation",
}
"""Parameters of the template that are not given by name -> why."""


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
    add_parameter(parser, _why_filled_in, "ShardCount=4", "The others stay as they are")


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
            TemplateError: the template has no such parameter, or they do not fit together.
        """
        named = given(self.args)
        declared = self.template.get("Parameters", {})
        if unknown := sorted(named.keys() - declared.keys()):
            raise TemplateError(f"the template has no parameter {', '.join(unknown)}; it has {', '.join(declared)}")
        check_together(self.all())
        return {**named, "Rules": find(self.rules).rules, "Architecture": self._architecture}

    def all(self) -> dict[str, str]:
        """Every parameter's value: the given one, the stack's own, or the default."""
        defaults = {
            name: str(one["Default"]) for name, one in self.template.get("Parameters", {}).items() if "Default" in one
        }
        return {**defaults, **(self.state.parameters if self.state else {}), **given(self.args)}

    def packages(self, folder: Path, say: Callable[[str], None]) -> list[Package]:
        """Make the functions' packages there, and say what the rules lack for photos.

        Raises:
            PackagingError: they cannot be made.
            CommandError: no rules were named, and those of the stack are not here.
        """
        try:
            target, every = Target(self._architecture, python_version(self.template)), self.all()

            def heard(commands: Collection[str]) -> None:
                if problem := unheard_photos(every.get("Photos"), commands):
                    say(problem)

            return package(self.rules, target, folder, traces=have_traces(every.get("Traces", "off")), heard=heard)
        except RulesNotFound as error:
            if self.args.rules:
                raise
            raise CommandError(
                f"the stack has the rules of {self.rules}; say where they are by --rules: {error}"
            ) from None

    @property
    def rules(self) -> str:
        """The module of rules, or its folder."""
        return str(self.args.rules or self.all().get("Rules") or BUILT_IN)

    @property
    def _architecture(self) -> str:
        return str(self.args.architecture or self.all().get("Architecture") or ARCHITECTURES[0])


def _why_filled_in(name: str) -> str | None:
    return FILLED_IN["CodeBucket"] if name.endswith("CodeKey") else FILLED_IN.get(name)
