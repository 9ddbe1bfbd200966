"""The stage in a deployment: when it is packaged, what is filled in for it, and what is refused."""

import argparse
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tidemill_cli.commands.deploy.analytics import Stage
from tidemill_cli.commands.deploy.parameters import Parameters
from tidemill_cli.errors import CommandError
from tidemill_deploy.stack.stack import State
from tidemill_deploy.template import load, template_path

TEMPLATE = load(template_path())
COUNTS = '{"content.view":null,"content.like":null}'
ON = {"Analytics": "on", "AnalyticsPeriods": "1796040000-"}


def stage(given: dict[str, str], state: State | None = None, client: Any = None, rules: str | None = None) -> Stage:
    args = argparse.Namespace(parameter=list(given.items()), rules=rules, architecture=None)
    return Stage(Parameters(args, TEMPLATE, state), lambda: client, sleep=lambda _: None)


def of_stack(parameters: dict[str, str], outputs: dict[str, str] | None = None) -> State:
    return State("arn", "UPDATE_COMPLETE", {"Rules": "tidemill_consumers.media", **parameters}, outputs or {})


@pytest.mark.parametrize("given", [{}, {"Analytics": "on"}, {"AnalyticsPeriods": "1796040000-"}])
def test_without_a_period_in_which_it_counts_there_is_none(given: dict[str, str], tmp_path: Path) -> None:
    made = stage(given)
    assert made.packages(tmp_path, tmp_path / "gone.jar") == []
    assert made.values() == {"AnalyticsCodeKey": ""}


def test_with_one_it_is_packaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "connector.jar", "w") as jar:
        jar.writestr("META-INF/services/org.apache.flink.table.factories.Factory", "tidemill.flink.Factory\n")
    (made,) = stage(ON).packages(tmp_path, tmp_path / "connector.jar")
    assert made.function == "Analytics"


def test_the_rules_say_what_is_counted_and_a_first_generation_begins() -> None:
    values = stage(ON).values()
    assert values["AnalyticsCommands"] == COUNTS
    assert values["AnalyticsRestore"] == "SKIP_RESTORE_FROM_SNAPSHOT"
    for name, value in values.items():
        declared = TEMPLATE["Parameters"][name]
        assert re.fullmatch(declared.get("AllowedPattern", ".*"), value), name


@pytest.mark.parametrize("name", ["AnalyticsGeneration", "AnalyticsCommands", "AnalyticsBegin", "AnalyticsCodeKey"])
def test_what_is_filled_in_cannot_be_given(name: str) -> None:
    from tidemill_cli.commands.deploy.parameters import _why_filled_in

    assert _why_filled_in(name)


def test_rules_without_anything_to_count_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_cli.commands.deploy.analytics.aggregatable", lambda _: {})
    with pytest.raises(CommandError, match="rules are in Aggregatable, and there are 0"):
        stage(ON).values()


@pytest.mark.parametrize(("periods", "is_refused"), [("1-", True), ("1-2", False), ("1-2,99999999999-", False)])
def test_what_is_counted_does_not_change_in_a_period(periods: str, is_refused: bool) -> None:
    """The function is changed at one moment, and the stage at another."""
    state = of_stack({**ON, "AnalyticsPeriods": periods, "AnalyticsCommands": '{"content.view":null}'})
    made = stage({}, state)
    if is_refused:
        with pytest.raises(CommandError, match=r"end the period before, some minutes ahead \(1-\)"):
            made.values()
    else:
        assert json.loads(made.values()["AnalyticsCommands"]).keys() == {"content.view", "content.like"}


def test_the_stage_is_started_once_the_stack_stands() -> None:
    client = boto3.client("kinesisanalyticsv2", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    made = stage(ON, client=client)
    given = made.values()
    detail = {
        "ApplicationARN": "arn:aws:kinesisanalytics:eu-west-1:123456789012:application/shop",
        "ApplicationName": "shop",
        "RuntimeEnvironment": "FLINK-2_2",
        "ApplicationVersionId": 1,
        "ApplicationConfigurationDescription": {
            "EnvironmentPropertyDescriptions": {
                "PropertyGroupDescriptions": [
                    {
                        "PropertyGroupId": "tidemill.analytics",
                        "PropertyMap": {"generation": given["AnalyticsGeneration"]},
                    }
                ]
            }
        },
    }
    with Stubber(client) as stub:
        stub.add_response("describe_application", {"ApplicationDetail": {**detail, "ApplicationStatus": "READY"}})
        stub.add_response("list_application_snapshots", {"SnapshotSummaries": []})
        stub.add_response("start_application", {})
        stub.add_response("describe_application", {"ApplicationDetail": {**detail, "ApplicationStatus": "RUNNING"}})
        made.begin(of_stack(ON, {"StageName": "shop"}), given, lambda _: None)
        stub.assert_no_pending_responses()


def test_a_stack_without_a_stage_starts_nothing() -> None:
    stage(ON).begin(of_stack(ON), {}, print)
