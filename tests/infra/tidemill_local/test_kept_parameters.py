"""With which parameters a platform on a folder goes on."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from tidemill_cli.arguments.parameters import SECRET, SECRET_VARIABLE
from tidemill_cli.commands.up.command import _parameters
from tidemill_deploy.packaging.application import BUILT_IN
from tidemill_local import kept_parameters
from tidemill_local.patches.durability.state_files import StateUnusable


@pytest.fixture(autouse=True)
def _no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


def asked(state: Path | None, rules: str | None = None, **parameters: str) -> dict[str, str]:
    return _parameters(argparse.Namespace(state=state, rules=rules, parameter=list(parameters.items())))


def test_without_a_folder_there_are_those_given() -> None:
    assert asked(None, BatchSize="5") == {"Rules": BUILT_IN, "BatchSize": "5"}


def test_a_folder_goes_on_with_its_own_and_what_is_given_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept_parameters.write(tmp_path, {"Rules": "shop", "BatchSize": "5", SECRET: "s" * 43})
    assert (tmp_path / kept_parameters.FILE).stat().st_mode & 0o777 == 0o600
    assert asked(tmp_path, BatchSize="7", ShardCount="1") == {
        "Rules": "shop",
        "BatchSize": "7",
        "ShardCount": "1",
        SECRET: "s" * 43,
    }
    assert capsys.readouterr().out == f"as {tmp_path} was run last: {SECRET}=…, Rules=shop\n"
    assert asked(tmp_path, "mended_shop")["Rules"] == "mended_shop"


@pytest.mark.parametrize(
    ("is_used", "rules", "warns"), [(True, None, True), (True, "shop", False), (False, None, False)]
)
def test_a_folder_of_an_earlier_release_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_used: bool, rules: str | None, warns: bool
) -> None:
    if is_used:
        (tmp_path / "snapshot").mkdir()
    assert asked(tmp_path, rules) == {"Rules": rules or BUILT_IN}
    assert ("does not say with which rules it was run" in capsys.readouterr().out) == warns


def test_rules_that_have_moved_since_are_found(tmp_path: Path) -> None:
    kept_parameters.write(tmp_path, {"Rules": "tidemill_consumers.rules", "BatchSize": "5"})
    assert asked(tmp_path)["Rules"] == BUILT_IN


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"Rules": 7}), "\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: Any) -> None:
    (tmp_path / kept_parameters.FILE).write_text(content, encoding="latin-1")
    with pytest.raises(StateUnusable, match=r"parameters\.json cannot be read"):
        asked(tmp_path)
