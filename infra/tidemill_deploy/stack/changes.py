"""What a change set would do, in words, and which of that would lose data or identities.

Room: deploy. Pure: CloudFormation's description in, values out.
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["create", "change", "replace", "may replace", "remove", "take over", "unknown"]
"""`may replace`: CloudFormation knows only while it updates, for a value that the property refers to may change."""

PROTECTED = {
    "AWS::Kinesis::Stream": "its requests that are not applied yet are lost",
    "AWS::DynamoDB::Table": "the new one is empty",
    "AWS::Cognito::UserPool": "all users have to sign up again",
    "AWS::Cognito::IdentityPool": "all clients become others, and do not get the replies to their requests",
}
"""Types of resources that are not replaced or removed without being asked for it -> why."""

_LOSING: frozenset[Kind] = frozenset({"replace", "may replace", "remove"})

_OF_ACTION: Mapping[str, Kind] = {"Add": "create", "Remove": "remove", "Import": "take over"}
_OF_REPLACEMENT: Mapping[str, Kind] = {"True": "replace", "Conditional": "may replace"}

MAX_NAMED = 4
"""Changed properties that a line names."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource.

    Attributes:
        kind: what is done.
        logical_id: its name in the template.
        type: such as `AWS::Kinesis::Stream`.
        physical_id: its name in the account; empty of a new one.
        properties: the changed properties, and attributes such as DeletionPolicy, sorted.
    """

    kind: Kind
    logical_id: str
    type: str
    physical_id: str = ""
    properties: tuple[str, ...] = ()

    @property
    def loss(self) -> str | None:
        """The loss that a change brings, for which it is refused unless asked for; None of a harmless change."""
        return PROTECTED.get(self.type) if self.kind in _LOSING else None


def changes(described: Iterable[Mapping[str, Any]]) -> tuple[Change, ...]:
    """The changes of the resources, sorted: what loses data first.

    Args:
        described: `Changes` of DescribeChangeSet.
    """
    found = [_change(one["ResourceChange"]) for one in described if "ResourceChange" in one]
    return tuple(sorted(found, key=lambda one: (one.loss is None, one.kind not in _LOSING, one.kind, one.logical_id)))


def losses(made: Iterable[Change]) -> tuple[Change, ...]:
    """Those that are refused unless they are asked for."""
    return tuple(one for one in made if one.loss is not None)


def words(change: Change) -> str:
    """A line that says what is done to the resource."""
    named = ", ".join(change.properties[:MAX_NAMED])
    if more := len(change.properties) - MAX_NAMED:
        named += f" and {more} more" if more > 0 else ""
    line = f"{change.kind:<12} {change.logical_id:<24} {change.type}{f'  ({named})' if named else ''}"
    return f"{line}: {change.loss}" if change.loss else line


def _change(described: Mapping[str, Any]) -> Change:
    action = described.get("Action", "")
    kind: Kind = _OF_ACTION.get(action, "unknown")
    if action == "Modify":
        kind = _OF_REPLACEMENT.get(described.get("Replacement", "False"), "change")
    properties = {_target(one.get("Target", {})) for one in described.get("Details", ())} - {""}
    return Change(
        kind,
        described.get("LogicalResourceId", ""),
        described.get("ResourceType", ""),
        described.get("PhysicalResourceId", ""),
        tuple(sorted(properties)) if kind not in ("create", "remove", "take over") else (),
    )


def _target(target: Mapping[str, Any]) -> str:
    """A property's name, or that of another attribute of the resource."""
    return str(target.get("Name") or target.get("Attribute") or "")
