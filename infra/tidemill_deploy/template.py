"""The template: where it is, what it says, and the values of its parameters.

Room: deploying, pure: documents in, documents out; only `load` and `template_path` touch a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

Node: TypeAlias = Any
"""A value of a template: JSON in the shape that CloudFormation defines."""

CONTENT_DAYS, RETENTION = "ContentDays", "RetentionHours"
"""The parameters of how long uploads are kept, and how long the stream keeps requests."""

FUNCTION_TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")


class TemplateError(Exception):
    """The template or a parameter is wrong, or cannot be run locally."""


def template_path() -> Path:
    """The project's template: beside the package in the source tree, inside it when installed."""
    here = Path(__file__).resolve().parent
    installed = here / "template.yaml"
    return installed if installed.exists() else here.parent / "template.yaml"


def load(path: Path) -> dict[str, Node]:
    """The template at `path`, its short forms such as `!Ref` written out.

    Raises:
        TemplateError: the file is not a template.
    """
    return loads(path.read_text(encoding="utf-8"), str(path))


def loads(text: str, name: str = "what the stack has") -> dict[str, Node]:
    """The template in a text, as `load` gives it.

    Raises:
        TemplateError: the text is not a template.
    """
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 # a SafeLoader
    except yaml.YAMLError as error:
        raise TemplateError(f"{name} is not YAML: {error}") from None
    if not isinstance(document, dict) or "Resources" not in document:
        raise TemplateError(f"{name} is not a CloudFormation template: it has no Resources")
    return document


def parameters(template: Mapping[str, Node], given: Mapping[str, str]) -> dict[str, str | int]:
    """Every parameter's value: the given one, else its default; numbers as numbers.

    Raises:
        TemplateError: a given parameter is unknown, one has neither value nor default, or a number is not a number.
    """
    declared = template.get("Parameters", {})
    if unknown := sorted(given.keys() - declared.keys()):
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}; it has {', '.join(declared)}")
    values = {name: _parameter(name, declaration, given.get(name)) for name, declaration in declared.items()}
    check_together(values)
    return values


def check_together(values: Mapping[str, str | int]) -> None:
    """Checks what two parameters' values are together, which no rule of CloudFormation can: its rules do not count.

    Args:
        values: by the parameters' names. What a template does not have is not checked.

    Raises:
        TemplateError: an upload would expire while the request that refers to it may still be on the stream, or one of
            the two is no number.
    """
    if CONTENT_DAYS not in values or RETENTION not in values:
        return
    days, hours = (_number(name, values[name]) for name in (CONTENT_DAYS, RETENTION))
    if 24 * days <= hours:
        raise TemplateError(
            f"{CONTENT_DAYS}={days} is no longer than {RETENTION}={hours}: the data of large requests could expire "
            f"before it is read; use {CONTENT_DAYS}={hours // 24 + 1} or more"
        )


def python_version(template: Mapping[str, Node]) -> str:
    """The Python of the template's functions, such as 3.14.

    Raises:
        TemplateError: they do not have one in common.
    """
    functions = [body["Properties"] for body in template["Resources"].values() if body["Type"] in FUNCTION_TYPES]
    runtimes = {str(one["Runtime"]) for one in functions}
    if len(runtimes) != 1 or not (runtime := runtimes.pop()).startswith("python"):
        raise TemplateError("the functions of the template do not have one Runtime, a Python")
    return runtime.removeprefix("python")


class _Loader(yaml.SafeLoader):
    """Loads YAML with CloudFormation's tags; dates stay as written, because policies' versions are strings."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> Node:
    value = _plain(loader, node)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


def _plain(loader: _Loader, node: yaml.Node) -> Node:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    raise TemplateError(f"a value that is neither text, list nor mapping: {node.start_mark}")


_Loader.add_multi_constructor("!", _tagged)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _plain)


def _parameter(name: str, declaration: Mapping[str, Node], given: str | None) -> str | int:
    value = declaration.get("Default") if given is None else given
    if value is None:
        raise TemplateError(f"the parameter {name} has no default and is not given")
    if declaration["Type"] != "Number":
        return str(value)
    return _number(name, value)


def _number(name: str, value: str | int) -> int:
    try:
        return int(value)
    except ValueError:
        raise TemplateError(f"the parameter {name} is a number, and {value!r} is none") from None
