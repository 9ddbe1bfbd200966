"""A stack on AWS for a load test: its parameters, its template, and the counting of its usage.

Room: local platform, I/O, public AWS APIs only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from tidemill_bench.cloudwatch import CloudWatchCounting
from tidemill_bench.driver import Stack
from tidemill_load.results.result import Mode

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

CONNECTIONS: Final = 64
"""To its HTTP API."""


def parameters(cloudformation: CloudFormationClient, stack: str) -> dict[str, str]:
    """The values of the stack's parameters; those of secrets are stars."""
    (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in described.get("Parameters", [])}


def template(cloudformation: CloudFormationClient, stack: str) -> bytes:
    """The stack's template, as it was given."""
    body: Any = cloudformation.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    return body.encode() if isinstance(body, str) else json.dumps(body, sort_keys=True).encode()


def counting(stack: Stack, modes: Sequence[Mode], tell: Callable[[str], None]) -> CloudWatchCounting:
    """By CloudWatch: the functions that take part, the tables that they write, and the stream."""
    with closing(stack.client("lambda")) as functions:
        memory = {
            name: functions.get_function_configuration(FunctionName=name)["MemorySize"]
            for name in dict.fromkeys(map(stack.function, (*modes, "aggregated")))
        }
    client, outputs = stack.client("cloudwatch"), stack.outputs
    table, deliveries, forgotten = (outputs[f"{one}TableName"] for one in ("", "Deliveries", "ForgottenWriters"))
    return CloudWatchCounting(client, memory, table, deliveries, forgotten, outputs["StreamName"], tell)
