"""What `tidemill deploy` shows: the plan in words, what it costs, and what to do with the stack.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/deploy/test_shown.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text

from tidemill_deploy.stack.changes import Change, losses, words
from tidemill_load import Assumptions, cost
from tidemill_load.cost_model.cost import LEAST_RATE

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"create": "green", "take over": "green", "change": "yellow"}
"""The others are red: they lose something, or nobody knows."""


def show_plan(out: Console, changes: tuple[Change, ...]) -> None:
    """Print a line for each change; in red what replaces or removes a resource."""
    for one in changes:
        out.print(Text(f"  {words(one)}", style=_STYLES.get(one.kind, "bold red")), soft_wrap=True)


def estimate(rate: float, parameters: Mapping[str, str]) -> str:
    """A sentence: what the stack costs a month at a rate.

    Args:
        rate: requests a second.
        parameters: the template's, by name.

    Raises:
        Impossible: the rate is out of range.
    """
    usual = Assumptions()
    given = replace(
        usual,
        on_demand=parameters.get("StreamMode") == "ON_DEMAND",
        window=int(parameters.get("BatchingWindowSeconds", usual.window)),
        batch=int(parameters.get("BatchSize", usual.batch)),
        shards=int(parameters.get("ShardCount", usual.shards)),
    )
    busy, idle = (cost("aggregated", one, given).bill.total for one in (rate, LEAST_RATE))
    return (
        f"about ${busy:,.2f} a month at {rate:,.6g} requests a second, ${idle:,.2f} of it without any requests, by "
        "list prices; tidemill cost has the items"
    )


def after_plan(changes: tuple[Change, ...]) -> str:
    """A sentence behind a plan that was only shown: how its changes are made."""
    if losses(changes):
        loses = "makes these changes, and loses what is told above"
        return f"nothing was changed; the same without --plan and with --replace {loses}"
    return "nothing was changed; the same without --plan makes these changes, once you agree"


def snippets(stack: str, region: str, outputs: Mapping[str, str]) -> Iterator[str]:
    """Lines that show the stack's outputs, and a client and commands that use it."""
    for name, value in sorted(outputs.items()):
        yield f"  {name:<26} {value}"
    yield ""
    yield "a client, with AWS credentials that may kinesis:PutRecords on the stream:"
    yield "  from tidemill import Producer"
    yield f'  with Producer("{outputs.get("StreamArn", "")}") as producer:'
    yield '      producer.send("tidemill.probe", key="a-key").result()  # or a command of your rules'
    yield "and from here:"
    yield f"  export AWS_REGION={region}"
    yield f"  tidemill smoke --stack {stack}"
    yield f"  tidemill send --stack {stack} tidemill.probe a-key"
    yield f"  tidemill redrive --stack {stack}"
    yield f"  tidemill destroy --stack {stack}"
