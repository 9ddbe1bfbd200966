from typing import Any

import pytest

from tidemill_deploy.stack.changes import MAX_NAMED, PROTECTED, Change, changes, losses, words


def described(action: str, kind: str = "AWS::Lambda::Function", name: str = "Apply", **other: Any) -> dict[str, Any]:
    change = {"Action": action, "LogicalResourceId": name, "ResourceType": kind, **other}
    return {"Type": "Resource", "ResourceChange": change}


def detail(name: str, attribute: str = "Properties") -> dict[str, Any]:
    return {"Target": {"Attribute": attribute, **({"Name": name} if name else {})}, "Evaluation": "Static"}


@pytest.mark.parametrize(
    ("action", "replacement", "kind"),
    [
        ("Add", None, "create"),
        ("Remove", None, "remove"),
        ("Import", None, "take over"),
        ("Modify", "False", "change"),
        ("Modify", "True", "replace"),
        ("Modify", "Conditional", "may replace"),
        ("Dynamic", None, "unknown"),
    ],
)
def test_each_action_has_its_word(action: str, replacement: str | None, kind: str) -> None:
    given = {"Replacement": replacement} if replacement else {}
    (found,) = changes([described(action, **given)])
    assert found.kind == kind
    assert words(found).startswith(kind)


@pytest.mark.parametrize("kind", PROTECTED)
@pytest.mark.parametrize(
    ("other", "is_loss"),
    [
        ({"action": "Modify", "Replacement": "True"}, True),
        ({"action": "Modify", "Replacement": "Conditional"}, True),
        ({"action": "Remove"}, True),
        ({"action": "Modify", "Replacement": "False"}, False),
        ({"action": "Add"}, False),
        ({"action": "Import"}, False),
    ],
)
def test_data_is_lost_where_its_resource_is_replaced_or_removed(kind: str, other: Any, is_loss: bool) -> None:
    found = changes([described(**other, kind=kind, name="Requests")])
    assert bool(losses(found)) == is_loss
    assert (PROTECTED[kind] in words(found[0])) == is_loss


def test_a_replaced_function_is_no_loss() -> None:
    assert losses(changes([described("Modify", Replacement="True")])) == ()


def test_what_loses_data_comes_first() -> None:
    found = changes(
        [
            described("Add", name="A"),
            described("Modify", name="B", Replacement="True"),
            described("Remove", "AWS::Kinesis::Stream", "C"),
        ]
    )
    assert [one.logical_id for one in found] == ["C", "B", "A"]


def test_changed_properties_are_named_and_attributes_too() -> None:
    (found,) = changes([described("Modify", Details=[detail("MemorySize"), detail("", "Tags"), detail("MemorySize")])])
    assert found.properties == ("MemorySize", "Tags")
    assert words(found).endswith("(MemorySize, Tags)")


def test_of_many_properties_some_are_named() -> None:
    names = tuple("abcdef")
    assert words(Change("change", "Apply", "T", "", names)).endswith(f"a, b, c, d and {len(names) - MAX_NAMED} more)")


def test_changes_of_other_kinds_than_resources_are_left_out() -> None:
    assert changes([{"Type": "Hook"}]) == ()
