"""What the stage reads of a stack: its streams, when it takes what arrives, and the application's rules.

Room: command line, I/O.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tidemill_cli.errors import CommandError
from tidemill_cli.stack import STACK, Access, outputs_or_remedy
from tidemill_consumers import Aggregatable, Rules
from tidemill_consumers.core.calling.routing import problem_of

SWITCHED_ON = (
    "Analytics=on and AnalyticsPeriods=BEGIN-, BEGIN being the seconds since 1970 from which the stage takes over"
)

NEEDS = {"top_content": ("content.top", "content.view"), "anomalies": ("client.alert",)}
"""Commands that an application must have rules for, so that a stage's requests are not quarantined."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack, as the stage needs it.

    Attributes:
        streams: the ARNs of the requests' stream and of the stage's own.
        created: when the former was made: another one of its name may have been read before.
        periods: the parameter AnalyticsPeriods.
        horizon: the parameter RepeatHorizonSeconds.
        rules: the module of its rules.
    """

    streams: tuple[str, str]
    created: str
    periods: str
    horizon: str
    rules: str


def stack_of(where: Access, named: str | None) -> Stack:
    """The stack of that name, by default the local platform's.

    Raises:
        CommandError: there is none, or it is not for a stage.
    """
    outputs = outputs_or_remedy(where, named, "another stack by --stack")
    name = named or STACK
    told = where.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0].get("Parameters", [])
    parameters: dict[str, str] = {one["ParameterKey"]: one.get("ParameterValue", "") for one in told}
    if "AggregatedStreamName" not in outputs or not parameters.get("AnalyticsPeriods"):
        remedy = "`tidemill up` with --parameter for each" if named is None else "deploy it with both"
        raise CommandError(f"the stack {name!r} leaves nothing to a stage: it needs {SWITCHED_ON}; {remedy}")
    requests = outputs["StreamArn"]
    aggregated = f"{requests.rpartition('/')[0]}/{outputs['AggregatedStreamName']}"
    summary = where.client("kinesis").describe_stream_summary(StreamName=outputs["StreamName"])
    created = str(summary["StreamDescriptionSummary"]["StreamCreationTimestamp"].timestamp())
    horizon, rules = parameters.get("RepeatHorizonSeconds", "3600"), parameters.get("Rules", "")
    return Stack((requests, aggregated), created, parameters["AnalyticsPeriods"], horizon, rules)


def rules_of(module: str) -> Rules:
    """The table of rules in a module, which is looked for in the current folder first.

    Raises:
        CommandError: there is none, or its rules cannot be called.
    """
    sys.path.insert(0, str(Path.cwd()))
    try:
        rules: Rules = import_module(module).RULES
    except ModuleNotFoundError as error:
        raise CommandError(f"{error}: run it in the folder of the rules, or name their module by --rules") from None
    except AttributeError:
        raise CommandError(f"{module} has no RULES") from None
    finally:
        del sys.path[0]
    if problem := problem_of(rules):
        raise CommandError(f"{module}: {problem}")
    return rules


def commands_of(rules: Rules) -> dict[str, str | None]:
    """The aggregatable commands, each with the member of data that is summed."""
    return {cmd: rule.sum for cmd, rule in rules.items() if isinstance(rule, Aggregatable)}


def stages_of(rules: Mapping[str, object]) -> tuple[str, ...]:
    """The stages whose requests the rules take."""
    return ("coalesce", *(stage for stage, needed in NEEDS.items() if all(cmd in rules for cmd in needed)))
