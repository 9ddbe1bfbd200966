"""Conditions of a template, as CloudFormation decides them."""

from typing import Any

import pytest

from tidemill_deploy.template import TemplateError
from tidemill_local.conditions import holds

IS_ON = {"Fn::Equals": [{"Ref": "Photos"}, "on"]}
IS_NONE = {"Fn::Equals": [{"Ref": "Count"}, 0]}
CONDITIONS = {
    "IsOn": IS_ON,
    "IsNone": IS_NONE,
    "Word": {"Fn::Equals": ["a", {"Ref": "AWS::Region"}]},
    "Odd": {"Fn::If": []},
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (IS_ON, True),
        (IS_NONE, False),
        ({"Condition": "IsOn"}, True),
        ({"Fn::Not": [IS_ON]}, False),
        ({"Fn::And": [IS_ON, {"Fn::Not": [{"Condition": "IsNone"}]}]}, True),
        ({"Fn::And": [IS_ON, IS_NONE]}, False),
        ({"Fn::Or": [IS_NONE, IS_ON]}, True),
        ({"Fn::Or": [IS_NONE, IS_NONE]}, False),
    ],
)
def test_a_condition(condition: dict[str, Any], expected: bool) -> None:
    template = {"Conditions": {**CONDITIONS, "It": condition}}
    assert holds("It", template, {"Photos": "on", "Count": 3}) is expected


@pytest.mark.parametrize(
    ("name", "why"),
    [("Word", "compares .*AWS::Region"), ("Odd", "has Fn::If"), ("Other", "has no condition Other")],
)
def test_what_cannot_be_decided_here_is_told(name: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        holds(name, {"Conditions": CONDITIONS}, {"Photos": "on"})
