"""docs/how-to/running-on-aws.md: what it names is in the template, and what can be tried without AWS is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tree import ROOT
from tests.walkthrough import blocks_in, walkthrough
from tidemill_deploy.template import load
from tidemill_local.emulator import Emulator
from tidemill_deploy.template import parameters
from tidemill_local.template import Place, split

pytestmark = pytest.mark.timeout(300)

PAGE = (ROOT / "docs/how-to/running-on-aws.md").read_text()
TEMPLATE = ROOT / "infra/template.yaml"
DOCUMENT = load(TEMPLATE)
BESIDE = Path(sys.executable).parent

IMPORT = """
import importlib, sys
folder, *modules = sys.argv[1:]
sys.path.insert(0, folder)
for name in modules:
    module, _, attribute = name.rpartition(".")
    found = importlib.import_module(module)
    assert found.__file__.startswith(folder), found.__file__
    assert hasattr(found, attribute), name
"""
"""Imports what is named from a folder alone, third-party packages apart."""


def test_the_commands_work_here_as_printed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs/examples/shop/shop.py", tmp_path)
    with walkthrough(tmp_path) as reader:
        reader.read(PAGE)
    assert [line.split()[1] for line in reader.ran] == ["up", "send", "redrive"]


def test_the_template_is_as_the_page_says() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert all(tool in makefile for tool in ("cfn-lint infra/template.yaml", "validate --lint", ".ci/scan.py"))
    alarms = {name: one for name, one in DOCUMENT["Resources"].items() if one["Type"] == "AWS::CloudWatch::Alarm"}
    assert len(alarms) == 17
    assert "has seventeen alarms" in PAGE


def test_the_parameters_are_the_templates() -> None:
    parameters = DOCUMENT["Parameters"]
    assert [name for name in parameters if f"`{name}`" not in PAGE] == []
    given = dict(one.split("=", 1) for one in parameters_given())
    assert set(given) <= set(parameters)
    assert {name for name, one in parameters.items() if "Default" not in one} <= set(given)
    assert re.fullmatch(parameters["ApplicationSecret"]["AllowedPattern"], given["ApplicationSecret"])


def parameters_given() -> list[str]:
    (block,) = (one for one in blocks_in(PAGE) if one.file == "parameters.json")
    found: list[str] = json.loads(block.text)
    return found


def test_what_stays_is_as_the_page_says() -> None:
    """What outlives the stack."""
    stays = {name for name, one in DOCUMENT["Resources"].items() if one.get("DeletionPolicy", "Delete") != "Delete"}
    end = PAGE.partition("## 5. Taking it down")[2]
    assert stays == {*re.findall(r"`([A-Z]\w+)`", end), "ArchiveBucket", "QuarantineBucket"}


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `code` of the page, without the packages that pip would get."""
    folder = tmp_path_factory.mktemp("aws")
    build: list[str | Path] = [
        BESIDE / "uv",
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
    ]
    subprocess.run([*build, "--out-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("tidemill-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "code")
    shutil.copy(ROOT / "docs/examples/shop/shop.py", folder / "code")
    return folder / "code"


def test_the_code_has_what_the_functions_begin_with(code: Path) -> None:
    functions = [one["Properties"] for one in DOCUMENT["Resources"].values() if one["Type"].endswith("::Function")]
    assert {one["Runtime"] for one in functions} == {"python3.12"}, "the page has pip take packages for it"
    assert {one.get("Architectures", ["x86_64"])[0] for one in functions} == {"x86_64"}
    named = [one["Handler"] for one in functions] + ["shop.RULES"]
    env = {"AWS_DEFAULT_REGION": "us-east-1", "TIDEMILL_RULES": "shop"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT, code, *named], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_cloudformation_makes_the_stack_with_these_parameters(emulator: Emulator, bucket: str, code: Path) -> None:
    shutil.make_archive(str(code), "zip", code)
    emulator.client("s3").upload_file(f"{code}.zip", bucket, "code-1.zip")
    given = dict(one.split("=", 1) for one in parameters_given()) | {"CodeBucket": bucket}
    # The emulator cannot host alarms on expressions.
    hosted = split(DOCUMENT, parameters(DOCUMENT, given), Place("on-aws", "us-east-1", "000000000000")).template
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(
        StackName="on-aws",
        TemplateBody=json.dumps(hosted),
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
