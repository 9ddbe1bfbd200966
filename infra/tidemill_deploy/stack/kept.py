"""The resources that outlive their stack: which they are, their record, and the template that takes them over again.

Room: deploy. Pure: documents in, documents out.

CloudFormation imports resources in an operation of its own, whose template has just these and no outputs:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidemill_deploy.stack.stack import Imported

Node: TypeAlias = Any
"""A value of a template: JSON in the shape that CloudFormation defines."""

IDENTIFIERS: Mapping[str, tuple[str, ...]] = {
    "AWS::Kinesis::Stream": ("Name",),
    "AWS::DynamoDB::Table": ("TableName",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::Cognito::UserPool": ("UserPoolId",),
    "AWS::Cognito::UserPoolClient": ("UserPoolId", "ClientId"),
    "AWS::Cognito::IdentityPool": ("Id",),
}
"""The types that are kept -> what names one (`primaryIdentifier` of the type's schema); its own name is the last."""

_KEEPING = ("Retain", "RetainExceptOnCreate")

_NO_ECHO = "****"
"""CloudFormation's word for a secret parameter's value."""


class NotKept(ValueError):
    """A record of kept resources cannot be read, or its resources cannot be taken over by the template."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a stack.

    Attributes:
        resources: what a stack of its name takes over.
        parameters: what it was made with, but for secrets: a stream that has eight shards is to keep them.
    """

    resources: tuple[Imported, ...]
    parameters: Mapping[str, str]


def kept(template: Mapping[str, Node], resources: Mapping[str, tuple[str, str]], parameters: Mapping[str, str]) -> Kept:
    """What stays when the stack is deleted.

    Args:
        template: the stack's.
        resources: logical id -> type and physical id, of the stack's resources.
        parameters: the stack's, as CloudFormation describes them.
    """
    found = []
    for name, (kind, physical_id) in sorted(resources.items()):
        declared = template["Resources"].get(name, {})
        if kind in IDENTIFIERS and declared.get("DeletionPolicy") in _KEEPING:
            found.append(Imported(name, kind, _identifier(kind, physical_id, declared, resources)))
    return Kept(tuple(found), {name: value for name, value in parameters.items() if value != _NO_ECHO})


def to_json(kept: Kept) -> bytes:
    """The record of what is kept."""
    every = [{"logical_id": one.logical_id, "type": one.type, "identifier": one.identifier} for one in kept.resources]
    return json.dumps({"parameters": kept.parameters, "resources": every}, indent=2).encode() + b"\n"


def from_json(record: bytes, where: str) -> Kept:
    """What a record says.

    Args:
        record: its bytes.
        where: they are, for the message.

    Raises:
        NotKept: it is none.
    """
    try:
        read = json.loads(record)
        resources = tuple(
            Imported(str(one["logical_id"]), one["type"], _known(one["type"], one["identifier"]))
            for one in read["resources"]
        )
        return Kept(resources, {str(name): str(value) for name, value in read["parameters"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotKept(
            f"the record of what was kept, {where}, cannot be read: {error!r}. Mend it, or delete it: then nothing is "
            "taken over, and what was kept stays as it is"
        ) from None


def importing(template: Mapping[str, Node], resources: tuple[Imported, ...]) -> dict[str, Node]:
    """The template of the operation that takes the resources over, and does nothing else.

    Raises:
        NotKept: the template has no such resource, has it under another type, lets it go with the stack, or has it
            refer to one that is not among them.
    """
    declared = template["Resources"]
    names = {one.logical_id for one in resources}
    for one in resources:
        body = declared.get(one.logical_id, {})
        if body.get("Type") != one.type or body.get("DeletionPolicy") not in _KEEPING:
            raise NotKept(f"the template keeps no {one.logical_id} of type {one.type}")
        if others := sorted(_references(body) & declared.keys() - names):
            raise NotKept(f"{one.logical_id} refers to {', '.join(others)}, which is not there yet")
    head = {
        name: template[name]
        for name in ("AWSTemplateFormatVersion", "Parameters", "Mappings", "Conditions")
        if name in template
    }
    bodies = {name: body for name, body in declared.items() if name in names}
    return {**head, "Resources": {name: _without_dependencies(body, names) for name, body in bodies.items()}}


def _known(kind: str, identifier: Mapping[str, str]) -> dict[str, str]:
    return {name: str(identifier[name]) for name in IDENTIFIERS[kind]}


def _identifier(
    kind: str, physical_id: str, declared: Mapping[str, Node], resources: Mapping[str, tuple[str, str]]
) -> dict[str, str]:
    *others, own = IDENTIFIERS[kind]
    properties = declared.get("Properties", {})
    referred = {name: str(resources[properties[name]["Ref"]][1]) for name in others}
    return {**referred, own: physical_id}


def _without_dependencies(body: Mapping[str, Node], names: set[str]) -> dict[str, Node]:
    given = body.get("DependsOn", [])
    depends = [name for name in (given if isinstance(given, list) else [given]) if name in names]
    rest = {name: value for name, value in body.items() if name != "DependsOn"}
    return {**rest, "DependsOn": depends} if depends else rest


def _references(node: Node) -> set[str]:
    """The logical ids that a value refers to."""
    return set(_referred(node))


def _referred(node: Node) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _referred(one)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "Ref":
                yield str(value)
            elif name == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else str(value).partition(".")[0]
            elif name == "Fn::Sub":
                text, *given = value if isinstance(value, list) else [value]
                yield from (part.partition("}")[0].partition(".")[0] for part in str(text).split("${")[1:])
                yield from _referred(given)
            else:
                yield from _referred(value)
