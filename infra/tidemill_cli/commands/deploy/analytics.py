"""The analytics stage in a deployment: its package, its parameters, and that it runs afterwards.

Room: command line. Tests: tests/infra/tidemill_cli/commands/deploy/test_analytics.py.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill_cli.commands.deploy.parameters import Parameters
from tidemill_cli.errors import CommandError
from tidemill_deploy.packaging.archive import Package
from tidemill_deploy.packaging.packages import aggregatable
from tidemill_deploy.stack.stack import State
from tidemill_deploy.stage.application import Application
from tidemill_deploy.stage.life import GENERATION, RESTORE, is_counting, life
from tidemill_deploy.stage.package import package_stage
from tidemill_stream.settings import InvalidSettings

CODE, COMMANDS = "AnalyticsCodeKey", "AnalyticsCommands"

MOST_PROPERTY = 2048
"""Most characters of a runtime property."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The stage of a deployment.

    Attributes:
        parameters: the deployment's.
        client: makes the boto3 client of kinesisanalyticsv2, if there is a stage to ask about.
        anew: whether it is to begin a new generation of its totals.
        sleep: waits so many seconds.
    """

    parameters: Parameters
    client: Callable[[], Any]
    anew: bool = False
    sleep: Callable[[float], None] = time.sleep

    @property
    def is_wanted(self) -> bool:
        """Whether the stack is to have one: it has its stream, and a period in which it counts."""
        values = self.parameters.all()
        return CODE in self._declared and values["Analytics"] == "on" and values["AnalyticsPeriods"] != ""

    def packages(self, folder: Path, connector: Path | None) -> list[Package]:
        """Its package, if it is wanted.

        Raises:
            PackagingError: it cannot be made.
        """
        return [package_stage(folder, connector)] if self.is_wanted else []

    def values(self) -> dict[str, str]:
        """The parameters that are filled in for it.

        Raises:
            CommandError: the rules have nothing that it could count, or too much.
            StageError: it is being changed.
            PackagingError: the rules cannot be loaded.
        """
        if not self.is_wanted:
            return {CODE: ""} if CODE in self._declared else {}
        commands = aggregatable(self.parameters.rules)
        text = json.dumps(commands, separators=(",", ":"))
        if not commands or len(text) > MOST_PROPERTY:
            raise CommandError(
                f"the analytics stage counts commands whose rules are in Aggregatable, and there are {len(commands)}; "
                f"their names may have {MOST_PROPERTY} characters in all"
            )
        self._check_unchanged(text)
        application = self._application(self.parameters.state)
        found = application.found() if application else None
        token = secrets.token_hex(3)
        try:
            wanted = {**self.parameters.all(), COMMANDS: text}
            return {COMMANDS: text, **life(found, wanted, time.time(), token, anew=self.anew)}
        except InvalidSettings as error:
            raise CommandError(str(error)) from None

    def _check_unchanged(self, commands: str) -> None:
        """Raises:
        CommandError: the commands change in a period, so that for a while the function and the stage would both apply
            requests of one, or neither.
        """
        before = self.parameters.state.parameters if self.parameters.state else {}
        former, periods = before.get(COMMANDS, ""), before.get("AnalyticsPeriods", "")
        if former and former != commands and periods and is_counting(periods, time.time()):
            raise CommandError(
                f"the stage counts {former} until the end of its period, and the rules have {commands}: end the period "
                f"before, some minutes ahead ({periods}), and begin another one after the deployment"
            )

    def begin(self, state: State | None, given: Mapping[str, str], say: Callable[[str], None]) -> None:
        """Have the stage run, if the stack has one.

        Raises:
            StageError: it does not start, or is not as it was deployed.
        """
        if self.is_wanted and (application := self._application(state)):
            application.start(given[GENERATION], given[RESTORE], say)

    def _application(self, state: State | None) -> Application | None:
        name = state.outputs.get("StageName") if state else None
        return Application(self.client(), name, self.sleep) if name else None

    @property
    def _declared(self) -> Mapping[str, Any]:
        declared: Mapping[str, Any] = self.parameters.template.get("Parameters", {})
        return declared
