"""The split of the template: what the emulator gets, and what is left to run here."""

from typing import Any

import pytest

from tidemill_deploy.template import TemplateError, load, parameters, template_path
from tidemill_local.template import (
    Place,
    allow_statement_calls,
    ask_concurrency,
    declared_outputs,
    reserved_concurrency,
    resolve,
    split,
)

PLACE = Place("shop", "eu-west-1", "123456789012")

STREAM = "AWS::Kinesis::Stream"
RULE = "AWS::IoT::TopicRule"
DELIVERY = "AWS::KinesisFirehose::DeliveryStream"
DELIVERY_ARN = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/shop-Archive"


def template(**resources: Any) -> dict[str, Any]:
    return {"Resources": {"Requests": {"Type": STREAM, "Properties": {"ShardCount": 1}}, **resources}}


def archive(**properties: Any) -> dict[str, Any]:
    return {"Type": DELIVERY, "Properties": properties}


def test_the_emulator_does_not_get_what_it_must_not_host() -> None:
    parts = split(template(Archive=archive(), Rule={"Type": RULE}), {}, PLACE)
    assert list(parts.template["Resources"]) == ["Requests"]
    assert [(r.logical_id, r.type) for r in parts.resources] == [("Archive", DELIVERY), ("Rule", RULE)]


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"Ref": "Archive"}, "shop-Archive"),
        ({"Fn::GetAtt": ["Archive", "Arn"]}, DELIVERY_ARN),
        ({"Fn::GetAtt": "Archive.Arn"}, DELIVERY_ARN),
        (
            {"Fn::Sub": "a ${Archive} ${Requests} ${!Archive}"},
            {"Fn::Sub": "a shop-Archive ${Requests} ${!Archive}"},
        ),
        (
            {"Fn::Sub": ["${Archive.Arn}/${x}", {"x": "y"}]},
            {"Fn::Sub": [f"{DELIVERY_ARN}/${{x}}", {"x": "y"}]},
        ),
        ({"Fn::Join": ["-", [{"Ref": "Archive"}]]}, {"Fn::Join": ["-", ["shop-Archive"]]}),
        ({"Ref": "Requests"}, {"Ref": "Requests"}),
    ],
)
def test_references_to_it_become_its_names(reference: Any, value: Any) -> None:
    other = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": reference}}
    document = {**template(Archive=archive(), Other=other), "Outputs": {"Name": {"Value": reference}}}
    emulators = split(document, {}, PLACE).template
    assert emulators["Resources"]["Other"]["Properties"]["DisplayName"] == value
    assert emulators["Outputs"]["Name"]["Value"] == value


def test_what_several_properties_ask_is_asked_once() -> None:
    reference = {"Ref": "Requests"}
    parts = split(template(Archive=archive(One=reference, Other=reference)), {}, PLACE)
    assert list(parts.template["Outputs"].values()) == [{"Value": reference}]
    (resource,) = resolve(parts.resources, dict.fromkeys(parts.template["Outputs"], "s"))
    assert resource.properties == {"One": "s", "Other": "s"}


def test_nothing_waits_for_what_is_not_there() -> None:
    other = {"Type": "AWS::SNS::Topic", "DependsOn": ["Archive", "Requests"]}
    one = {"Type": "AWS::SNS::Topic", "DependsOn": "Archive"}
    resources = split(template(Archive=archive(), Other=other, One=one), {}, PLACE).template["Resources"]
    assert resources["Other"]["DependsOn"] == ["Requests"]
    assert resources["One"]["DependsOn"] == []


def test_its_own_references_are_asked_of_the_emulator_and_filled_in() -> None:
    nested = {
        "Source": {"Arn": {"Fn::GetAtt": ["Requests", "Arn"]}},
        "Tags": ["a", {"Fn::Sub": "${Requests}-x"}],
    }
    parts = split(template(Archive=archive(**nested)), {}, PLACE)
    answers = {
        key: {"{'Fn::GetAtt': ['Requests', 'Arn']}": "arn:r", "{'Fn::Sub': '${Requests}-x'}": "r-x"}[
            str(output["Value"])
        ]
        for key, output in parts.template["Outputs"].items()
    }
    (resolved,) = resolve(parts.resources, answers)
    assert resolved.properties == {"Source": {"Arn": "arn:r"}, "Tags": ["a", "r-x"]}
    assert declared_outputs(template(), answers) == {}


def test_resources_run_here_may_refer_to_each_other() -> None:
    rule = {"Type": RULE, "Properties": {"Destination": {"Fn::GetAtt": ["Archive", "Arn"]}}}
    parts = split(template(Archive=archive(), Rule=rule), {}, PLACE)
    assert parts.resources[1].properties == {"Destination": DELIVERY_ARN}


def test_parameters_arrive_as_what_they_are() -> None:
    document = {
        "Parameters": {"Size": {"Type": "Number", "Default": 5}, "Name": {"Type": "String", "Default": "7"}},
        **template(Archive=archive(Size={"Ref": "Size"}, Name={"Ref": "Name"})),
    }
    values = parameters(document, {"Size": "9"})
    assert split(document, values, PLACE).resources[0].properties == {"Size": 9, "Name": "7"}


def test_a_resource_s_name_follows_from_the_stack_s() -> None:
    resources = split(template(Archive=archive(), Rule={"Type": RULE}), {}, PLACE).resources
    assert [resource.physical_id for resource in resources] == ["shop-Archive", "shop_Rule"]


def test_a_name_that_the_template_gives_is_kept() -> None:
    parts = split(template(Archive=archive(DeliveryStreamName="mine")), {}, PLACE)
    assert parts.resources[0].physical_id == "mine"


def test_the_document_itself_is_left_as_it_was() -> None:
    document = template(Archive=archive(Stream={"Ref": "Requests"}))
    split(document, {}, PLACE)
    assert document == template(Archive=archive(Stream={"Ref": "Requests"}))


@pytest.mark.parametrize(("value", "found"), [("on", ["Archive"]), ("off", [])])
def test_what_is_run_here_is_there_on_its_condition_and_known_by_name_anyway(value: str, found: list[str]) -> None:
    other = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Archive"}}}
    document = template(Archive={**archive(), "Condition": "Wanted"}, Other=other)
    document["Conditions"] = {"Wanted": {"Fn::Equals": [{"Ref": "Archived"}, "on"]}}
    parts = split(document, {"Archived": value}, PLACE)
    assert [one.logical_id for one in parts.resources] == found
    assert "Archive" not in parts.template["Resources"]
    assert parts.template["Resources"]["Other"]["Properties"]["DisplayName"] == "shop-Archive"


def test_an_attribute_that_is_not_known_here_is_refused() -> None:
    other = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::GetAtt": ["Archive", "Colour"]}}}
    with pytest.raises(TemplateError, match="Archive has no attribute Colour"):
        split(template(Archive=archive(), Other=other), {}, PLACE)


def test_statement_calls_are_allowed_to_roles_with_partiql_and_to_no_other() -> None:
    def role(action: Any) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": action, "Resource": "t"}
        policy = {"PolicyName": "p", "PolicyDocument": {"Statement": [statement]}}
        return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}

    roles = allow_statement_calls(template(Writer=role(["dynamodb:PartiQLUpdate"]), Reader=role("dynamodb:GetItem")))

    def statements(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = roles["Resources"][name]["Properties"]["Policies"][0]["PolicyDocument"][
            "Statement"
        ]
        return found

    assert statements("Writer")[1:] == [
        {
            "Effect": "Allow",
            "Action": ["dynamodb:BatchExecuteStatement", "dynamodb:ExecuteStatement"],
            "Resource": "*",
        }
    ]
    assert len(statements("Reader")) == 1


def test_the_projects_template_never_gives_up_on_a_request() -> None:
    mapping = load(template_path())["Resources"]["ApplyFromRequests"]["Properties"]
    assert (mapping["MaximumRetryAttempts"], mapping["MaximumRecordAgeInSeconds"]) == (-1, -1)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ParallelizationFactor"] == 1


def test_reserved_concurrency_is_asked_for_and_read() -> None:
    def function(**properties: Any) -> dict[str, Any]:
        return {"Type": "AWS::Serverless::Function", "Properties": properties}

    asked = ask_concurrency(
        template(
            A=function(ReservedConcurrentExecutions=3),
            B=function(),
            C=function(ReservedConcurrentExecutions={"Ref": "Most"}),
        )
    )["Outputs"]
    assert [output["Value"] for output in asked.values()] == [{"Ref": "A"}, 3, {"Ref": "C"}, {"Ref": "Most"}]
    outputs = dict(zip(asked, ["stack-a", "3", "stack-c", "0"], strict=True))
    assert reserved_concurrency(outputs | {"Name": "x"}) == {"stack-a": 3, "stack-c": 0}
    assert reserved_concurrency({"Name": "x"}) == {}
