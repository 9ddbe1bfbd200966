"""Finds the obstacle that keeps the apply function's mapping from reading the stream, as Lambda describes it.

Room: deploy, I/O: Lambda alone; `of_mapping` is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

PROBLEM = "PROBLEM"
"""How LastProcessingResult begins where something is wrong."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps requests from being applied.

    Attributes:
        text: what it is, in words.
        stays: whether it is there until somebody removes it, so that nothing is to be waited for.
    """

    text: str
    stays: bool


def obstacle(functions: LambdaClient, function: str, stream: str) -> Obstacle | None:
    """The obstacle that the mapping tells of; None if it tells of none.

    Args:
        functions: a boto3 client.
        function: the function's name.
        stream: the stream's ARN.

    Raises:
        ClientError, BotoCoreError: Lambda cannot be asked.
    """
    found = functions.list_event_source_mappings(FunctionName=function, EventSourceArn=stream)["EventSourceMappings"]
    return of_mapping(found[0] if found else None)


def of_mapping(mapping: Any) -> Obstacle | None:
    """The obstacle that a mapping's description tells of; None if it tells of none.

    Args:
        mapping: one of ListEventSourceMappings; None if there is none.
    """
    if mapping is None:
        return Obstacle("the function has no mapping of the stream", stays=True)
    state, result = mapping.get("State", ""), mapping.get("LastProcessingResult", "")
    if state in ("Disabled", "Disabling", "Deleting"):
        enable = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled"
        return Obstacle(f"the mapping is {state}: {enable}", stays=True)
    if result.startswith(PROBLEM):
        return Obstacle(f"the mapping says {result}", stays=False)
    return Obstacle(f"the mapping is {state}", stays=False) if state in ("Creating", "Enabling", "Updating") else None
