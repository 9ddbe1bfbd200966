"""What a deployment's packages hold follows its parameters. How it is deployed is told in tests/e2e/test_deploy.py."""

from argparse import ArgumentParser
from collections.abc import Callable, Collection
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.infra.tidemill_cli.commands.conftest import SPANS
from tidemill_cli.commands.deploy import parameters
from tidemill_cli.commands.deploy.parameters import Parameters, add_parameters
from tidemill_deploy.packaging import Package
from tidemill_deploy.stack.stack import State
from tidemill_deploy.template import load, template_path

OFF, X_RAY = {"Traces": "off"}, {"Traces": "xray"}


@pytest.mark.usefixtures("one_wheel")
@pytest.mark.parametrize(
    ("given", "stack", "have"),
    [
        ([], None, set()),
        (["Traces=xray"], None, {"apply", "direct"}),
        ([], X_RAY, {"apply", "direct"}),
        (["Traces=off"], X_RAY, set()),
        (["Traces=http://127.0.0.1:4318/v1/traces"], OFF, {"apply", "direct"}),
    ],
)
def test_packages_have_traces_if_the_stack_shall_or_does(
    tmp_path: Path, given: list[str], stack: dict[str, str] | None, have: set[str]
) -> None:
    parser = ArgumentParser()
    add_parameters(parser)
    args = parser.parse_args([word for one in given for word in ("--parameter", one)])
    state = None if stack is None else State("CREATE_COMPLETE", "", stack, {})
    made = Parameters(args, load(template_path()), state).packages(tmp_path / "out", print)
    assert {one.path.stem for one in made if SPANS in ZipFile(one.path).namelist()} == have


def test_rules_that_photos_need_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def package(*_: object, heard: Callable[[Collection[str]], None], **__: object) -> list[Package]:
        heard({"seat.reserve"})
        return []

    monkeypatch.setattr(parameters, "package", package)
    parser, said = ArgumentParser(), list[str]()
    add_parameters(parser)
    for photos in ("off", "on"):
        args = parser.parse_args(["--rules", "seats", "--parameter", f"Photos={photos}"])
        Parameters(args, load(template_path()), None).packages(tmp_path, said.append)
    assert [line.startswith("RULES lacks content.processed and content.removed: ") for line in said] == [True]
