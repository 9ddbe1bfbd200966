"""Whether a condition of the template holds, for the resources that are run here.

Room: local platform, pure.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill_deploy.template import Node, TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping


def holds(condition: str, template: Mapping[str, Node], values: Mapping[str, str | int]) -> bool:
    """Whether the template's condition of this name holds for these parameters.

    Raises:
        TemplateError: there is none, or it asks for something else than parameters.
    """
    declared = template.get("Conditions", {})
    if condition not in declared:
        raise TemplateError(f"the template has no condition {condition}")

    def is_met(node: Node) -> bool:
        ((function, argument),) = node.items()
        match function:
            case "Condition":
                return holds(argument, template, values)
            case "Fn::Not":
                return not is_met(argument[0])
            case "Fn::And":
                return all(map(is_met, argument))
            case "Fn::Or":
                return any(map(is_met, argument))
            case "Fn::Equals":
                left, right = (_text(one, values, condition) for one in argument)
                return left == right
        raise TemplateError(f"the condition {condition} has {function}, which is none of a condition")

    return is_met(declared[condition])


def _text(node: Node, values: Mapping[str, str | int], condition: str) -> str:
    if not isinstance(node, dict):
        return str(node)
    if node.get("Ref") in values:
        return str(values[node["Ref"]])
    raise TemplateError(f"the condition {condition} compares {node}, which is no parameter")
