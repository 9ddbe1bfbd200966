"""Splits the template: the emulator gets one part, the resources that it cannot host are run beside it.

Room: local platform, pure: documents in, documents out.

References to a split-out resource are replaced by its name or ARN, which are chosen here. References from it to the
other resources become additional outputs of the emulator's stack, and are filled in afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidemill_deploy.template import FUNCTION_TYPES, Node, TemplateError
from tidemill_local.conditions import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NOT_HOSTED = {
    "AWS::KinesisFirehose::DeliveryStream": ("firehose", "deliverystream/"),
    "AWS::IoT::TopicRule": ("iot", "rule/"),
    "AWS::KinesisAnalyticsV2::Application": ("kinesisanalytics", "application/"),
    "AWS::KinesisAnalyticsV2::ApplicationCloudWatchLoggingOption": ("kinesisanalytics", "logging/"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "alarm:"),
}
"""Types that the emulator ignores or gets wrong -> the service and the resource's prefix in an ARN."""

_NAME_PROPERTIES = ("DeliveryStreamName", "RuleName", "ApplicationName", "AlarmName")
_SUBSTITUTION = re.compile(r"\$\{([^!}][^}]*)}")
_ANSWER = "TidemillLocal{}"
_FUNCTION, _CONCURRENCY = "TidemillFunction{}", "TidemillConcurrency{}"
_NO_VALUE = "none"


@dataclass(frozen=True, slots=True)
class Place:
    """The stack's name, region and account, from which names and ARNs follow."""

    stack: str
    region: str
    account: str


@dataclass(frozen=True, slots=True)
class LocalResource:
    """A resource that is run here and not by the emulator.

    Attributes:
        logical_id: its name in the template.
        type: such as `AWS::KinesisFirehose::DeliveryStream`.
        physical_id: the value of `Ref`.
        arn: its ARN.
        properties: as in the template, every reference resolved to a plain value.
    """

    logical_id: str
    type: str
    physical_id: str
    arn: str
    properties: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Pending:
    """A placeholder in a property for one of the outputs of the emulator's stack."""

    output: str


@dataclass(frozen=True, slots=True)
class Split:
    """The emulator's template, and the resources that are run here: their properties still hold Pending values."""

    template: Mapping[str, Node]
    resources: tuple[LocalResource, ...]


def split(template: Mapping[str, Node], values: Mapping[str, str | int], place: Place) -> Split:
    """Take the resources out of the template that the emulator must not host, and leave out those not to be there.

    Args:
        template: the result of `load`.
        values: every parameter's value, the result of `parameters`.
        place: the stack's name, region and account.
    """
    resources = {
        name: _named(name, body, place) for name, body in template["Resources"].items() if body["Type"] in NOT_HOSTED
    }
    questions: dict[str, Node] = {}
    # References to these resources are replaced first: they may refer to each other, and so may the added outputs.
    local = _map(dict(template), lambda node: _without(resources, node))
    wanted: dict[str, LocalResource] = {}
    for name, resource in resources.items():
        body = local["Resources"].pop(name)
        if "Condition" in body and not holds(body["Condition"], template, values):
            continue
        properties = body.get("Properties", {})
        wanted[name] = replace(resource, properties=_map(properties, _asker(questions, values)))
    for body in local["Resources"].values():
        _drop_dependencies(body, resources)
    local["Outputs"] = local.get("Outputs", {}) | {key: {"Value": node} for key, node in questions.items()}
    return Split(local, tuple(wanted.values()))


def resolve(resources: tuple[LocalResource, ...], outputs: Mapping[str, str]) -> tuple[LocalResource, ...]:
    """The resources with the emulator's outputs filled in."""

    def fill(node: Node) -> Node:
        return outputs[node.output] if isinstance(node, Pending) else node

    return tuple(replace(resource, properties=_map(resource.properties, fill)) for resource in resources)


def declared_outputs(template: Mapping[str, Node], outputs: Mapping[str, str]) -> dict[str, str]:
    """The outputs that the template itself declares, without those added for `resolve`."""
    return {name: outputs[name] for name in template.get("Outputs", {}) if name in outputs}


def allow_statement_calls(template: Mapping[str, Node]) -> dict[str, Node]:
    """The template with the privileges that only the emulator asks for.

    AWS authorises a PartiQL statement as dynamodb:PartiQLInsert, PartiQLUpdate, … on its table. The emulator asks for
    the call's own name, on all resources. Roles that hold the former are given the latter, locally only; so that
    privilege is not tested locally. AWS authorises PublishBatch as sns:Publish, the emulator as sns:PublishBatch.
    """

    def allow(node: Node) -> Node:
        if isinstance(node, dict) and node.get("Action") == "sns:Publish":
            return {**node, "Action": ["sns:Publish", "sns:PublishBatch"]}
        statements = node.get("Statement") if isinstance(node, dict) else None
        if not isinstance(statements, list) or not any(map(_is_partiql, statements)):
            return node
        extra = {
            "Effect": "Allow",
            "Action": ["dynamodb:BatchExecuteStatement", "dynamodb:ExecuteStatement"],
            "Resource": "*",
        }
        return {**node, "Statement": [*statements, extra]}

    return {**template, "Resources": _map(template["Resources"], allow)}


def ask_concurrency(template: Mapping[str, Node]) -> dict[str, Node]:
    """The template with outputs for the functions' reserved concurrency, which the emulator leaves out."""
    reserved = {
        name: body
        for name, body in template["Resources"].items()
        if body["Type"] in FUNCTION_TYPES and "ReservedConcurrentExecutions" in body.get("Properties", {})
    }
    outputs = dict(template.get("Outputs", {}))
    for place, (name, body) in enumerate(reserved.items()):
        only = {"Condition": body["Condition"]} if "Condition" in body else {}
        value = _map(body["Properties"]["ReservedConcurrentExecutions"], _no_value_as_text)
        outputs[_FUNCTION.format(place)] = {"Value": {"Ref": name}, **only}
        outputs[_CONCURRENCY.format(place)] = {"Value": value, **only}
    return {**template, "Outputs": outputs}


def reserved_concurrency(outputs: Mapping[str, str]) -> dict[str, int]:
    """Function name -> reserved concurrency, from the outputs that `ask_concurrency` added."""
    most = {output: value for output, value in outputs.items() if output.startswith(_CONCURRENCY.format(""))}
    name = {output: output.replace(_CONCURRENCY.format(""), _FUNCTION.format("")) for output in most}
    return {outputs[name[output]]: int(value) for output, value in most.items() if value != _NO_VALUE}


def _no_value_as_text(node: Node) -> Node:
    """An output cannot be without a value."""
    return _NO_VALUE if node == {"Ref": "AWS::NoValue"} else node


def _is_partiql(statement: Mapping[str, Node]) -> bool:
    actions = statement.get("Action", [])
    names = actions if isinstance(actions, list) else [actions]
    return any(str(name).startswith("dynamodb:PartiQL") for name in names)


def _named(logical_id: str, body: Mapping[str, Node], place: Place) -> LocalResource:
    physical_id = _physical_id(logical_id, body, place)
    service, prefix = NOT_HOSTED[body["Type"]]
    arn = f"arn:aws:{service}:{place.region}:{place.account}:{prefix}{physical_id}"
    return LocalResource(logical_id, body["Type"], physical_id, arn, {})


def _physical_id(logical_id: str, body: Mapping[str, Node], place: Place) -> str:
    """The name that the template gives, else one made from the stack's name and the logical id."""
    properties = body.get("Properties", {})
    given = next((properties[name] for name in _NAME_PROPERTIES if isinstance(properties.get(name), str)), None)
    if given:
        return str(given)
    separator = "_" if body["Type"] == "AWS::IoT::TopicRule" else "-"
    return f"{place.stack}-{logical_id}".replace("-", separator)


def _map(node: Node, change: Callable[[Node], Node]) -> Node:
    """The document with `change` applied to every node, outer nodes before inner ones."""
    node = change(node)
    if isinstance(node, dict):
        return {key: _map(value, change) for key, value in node.items()}
    if isinstance(node, list):
        return [_map(value, change) for value in node]
    return node


def _without(resources: Mapping[str, LocalResource], node: Node) -> Node:
    """The node, with references to the resources replaced by their values."""
    for function, argument in _intrinsic(node):
        if function == "Ref" and argument in resources:
            return resources[argument].physical_id
        if function == "Fn::GetAtt":
            name, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
            return _attribute(resources[name], attribute) if name in resources else node
        if function == "Fn::Sub":
            return {function: _substitute(resources, argument)}
    return node


def _intrinsic(node: Node) -> Iterator[tuple[str, Node]]:
    """The function and its argument if the node is an intrinsic function."""
    if isinstance(node, dict) and len(node) == 1:
        function, argument = next(iter(node.items()))
        if function == "Ref" or str(function).startswith("Fn::"):
            yield function, argument


def _attribute(resource: LocalResource, attribute: str) -> str:
    if attribute == "Arn":
        return resource.arn
    if attribute == "Id":
        return resource.physical_id
    raise TemplateError(f"{resource.logical_id} has no attribute {attribute} here")


def _substitute(resources: Mapping[str, LocalResource], argument: Node) -> Node:
    def value(match: re.Match[str]) -> str:
        name, _, attribute = match[1].partition(".")
        if name not in resources:
            return match[0]
        return _attribute(resources[name], attribute) if attribute else resources[name].physical_id

    if isinstance(argument, list):
        return [_SUBSTITUTION.sub(value, argument[0]), argument[1]]
    return _SUBSTITUTION.sub(value, argument)


def _asker(questions: dict[str, Node], values: Mapping[str, str | int]) -> Callable[[Node], Node]:
    """Gives the function that replaces a parameter by its value, and other intrinsic functions by added outputs."""

    def ask(node: Node) -> Node:
        for function, argument in _intrinsic(node):
            if function == "Ref" and argument in values:
                return values[argument]
            key = next((key for key, asked in questions.items() if asked == node), _ANSWER.format(len(questions)))
            questions[key] = node
            return Pending(key)
        return node

    return ask


def _drop_dependencies(body: dict[str, Node], gone: Mapping[str, LocalResource]) -> None:
    depends = body.get("DependsOn")
    if depends is not None:
        names = depends if isinstance(depends, list) else [depends]
        body["DependsOn"] = [name for name in names if name not in gone]
