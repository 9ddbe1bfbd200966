"""docs/how-to/running-on-aws.md: what it names is in the template, and what can be tried without AWS is."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.tree import ROOT
from tests.walkthrough import walkthrough
from tidemill_deploy.packaging.archive import zipped
from tidemill_deploy.packaging.functions import ARCHITECTURES, FUNCTIONS
from tidemill_deploy.template import load, parameters
from tidemill_local.emulator import Emulator
from tidemill_local.template import Place, split

pytestmark = pytest.mark.timeout(300)

PAGE = (ROOT / "docs/how-to/running-on-aws.md").read_text()
TEMPLATE = ROOT / "infra/template.yaml"
DOCUMENT = load(TEMPLATE)
SAM = tomllib.loads((ROOT / "infra/samconfig.toml").read_text())["default"]["deploy"]["parameters"]


@pytest.mark.slow
def test_the_commands_work_here_as_printed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs/examples/shop/shop.py", tmp_path)
    with walkthrough(tmp_path) as reader:
        reader.read(PAGE)
    assert [line.split()[1] for line in reader.ran] == ["up", "send", "redrive"]


def test_the_template_is_as_the_page_says() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert all(tool in makefile for tool in ("cfn-lint infra/template.yaml", "validate --lint", ".ci/scan.py"))
    alarms = {name: one for name, one in DOCUMENT["Resources"].items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert len([one for one in alarms.values() if "Condition" not in one]) == 18
    assert len([one for one in alarms.values() if one.get("Condition") == "HasPhotos"]) == 7
    assert "has eighteen alarms, seven more with `Photos=on`" in PAGE


def test_the_parameters_are_the_templates() -> None:
    parameters = DOCUMENT["Parameters"]
    assert [name for name in parameters if f"`{name}`" not in PAGE] == []
    given = dict(one.split("=", 1) for one in parameters_given())
    assert set(given) <= set(parameters)
    assert {name for name, one in parameters.items() if "Default" not in one} <= set(given)
    in_shell = PAGE.partition("--parameter-overrides ")[2].partition("```")[0].replace("\\", " ").split()
    assert {one.partition("=")[0] for one in in_shell} == set(given)


def parameters_given() -> list[str]:
    """Those of infra/samconfig.toml, which the page names."""
    found: list[str] = SAM["parameter_overrides"]
    return found


def test_the_sam_cli_finds_the_template_and_its_capabilities() -> None:
    assert (ROOT / "infra" / SAM["template_file"]) == TEMPLATE
    assert f"--capabilities {SAM['capabilities']} " in PAGE


def test_what_stays_is_as_the_page_says() -> None:
    """What outlives the stack."""
    stays = {name for name, one in DOCUMENT["Resources"].items() if one.get("DeletionPolicy", "Delete") != "Delete"}
    end = PAGE.partition("## 5. Taking it down")[2]
    assert stays == {*re.findall(r"`([A-Z]\w+)`", end), "ArchiveBucket", "ContentBucket", "QuarantineBucket"}


def test_the_code_is_made_for_what_the_template_runs() -> None:
    functions = [one["Properties"] for one in DOCUMENT["Resources"].values() if one["Type"].endswith("::Function")]
    assert {one["Runtime"] for one in functions} == {"python3.14"}, "the page says so"
    given = dict(one.split("=", 1) for one in parameters_given())
    assert given["Architecture"] == ARCHITECTURES[0], "what the page's command makes"
    for one in FUNCTIONS:
        assert f"aws s3 cp build/{one.file} s3://YOUR-BUCKET/{given[one.parameter]}\n" in PAGE


def test_cloudformation_makes_the_stack_with_these_parameters(emulator: Emulator, bucket: str) -> None:
    for key in ("apply-1.zip", "direct-1.zip", "index-1.zip", "media-1.zip"):
        emulator.client("s3").put_object(Bucket=bucket, Key=key, Body=zipped({"shop.py": b"RULES = {}"}))
    given = dict(one.split("=", 1) for one in parameters_given()) | {
        "CodeBucket": bucket,
        "ApplicationSecret": "s" * 43,
    }
    # The emulator cannot host alarms on expressions.
    hosted = split(DOCUMENT, parameters(DOCUMENT, given), Place("on-aws", "us-east-1", "000000000000")).template
    emulator.client("s3").put_object(Bucket=bucket, Key="template.json", Body=json.dumps(hosted))
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(
        StackName="on-aws",
        TemplateURL=f"{emulator.endpoint_url}/{bucket}/template.json",
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    try:
        cloudformation.get_waiter("stack_create_complete").wait(StackName="on-aws", WaiterConfig={"Delay": 1})
        (stack,) = cloudformation.describe_stacks(StackName="on-aws")["Stacks"]
    finally:
        cloudformation.delete_stack(StackName="on-aws")
        cloudformation.get_waiter("stack_delete_complete").wait(StackName="on-aws", WaiterConfig={"Delay": 1})
    outputs = {one["OutputKey"] for one in stack["Outputs"] if one["OutputKey"] in DOCUMENT["Outputs"]}
    table = PAGE.partition("| output |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:])))
    assert named
    assert named <= outputs
