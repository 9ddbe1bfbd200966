"""The table of patches agrees with the modules, what they say they need, and the page; each can be left out."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path

import ministack.services
import pytest

from tests.tree import ROOT
from tidemill_local.patches import registry
from tidemill_local.patches.release import RELEASE, UnknownEmulator, require

PATCHES = ROOT / "infra" / "tidemill_local" / "patches"
MODULES = {path: ast.parse(path.read_text()) for path in sorted(PATCHES.rglob("*.py"))}
TABLE = registry.patches(Path("folder"), None)

EMULATORS_OWN_DICTS = {"_data"}
"""Private, but of a value of the emulator's, and of no module: its dicts that are scoped by account."""


def install_of(tree: ast.Module) -> ast.FunctionDef | None:
    return next((one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "install"), None)


INSTALLS = {path: function for path, tree in MODULES.items() if (function := install_of(tree))}


def required(function: ast.FunctionDef) -> set[str]:
    """`module.name` of each thing of the emulator that an install checks."""
    return {
        f"{owner.id}.{name.value}"
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require"
        for owner, *names in (call.args,)
        for name in names
        if isinstance(owner, ast.Name) and isinstance(name, ast.Constant) and isinstance(name.value, str)
    }


def explained(function: ast.FunctionDef) -> dict[str, str]:
    """`module.name` of each thing that its docstring names, and why it is needed."""
    _, found, section = (ast.get_docstring(function) or "").partition("Needs of the emulator:\n")
    assert found, f"{function.name} does not say what it needs"
    lines = re.findall(r"^    ((?:\w+\.\w+(?:, )?)+): (.+)$", section, flags=re.M)
    return {name: why for names, why in lines for name in names.split(", ")}


def private_parts(tree: ast.Module) -> Iterator[str]:
    """The private attributes that a module uses of others than itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_)", node.attr):
            owner = node.value
            if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls", "os")):
                yield node.attr


def test_each_module_that_fits_something_in_is_in_the_table() -> None:
    assert sorted(path.stem for path in INSTALLS) == sorted(TABLE)


@pytest.mark.parametrize("path", INSTALLS, ids=lambda path: path.stem)
def test_an_install_says_of_all_that_it_needs_why(path: Path) -> None:
    function = INSTALLS[path]
    assert explained(function).keys() == required(function)


def test_nothing_private_of_the_emulator_is_used_that_no_install_requires() -> None:
    needed = {name.partition(".")[2] for function in INSTALLS.values() for name in required(function)}
    used = {name for tree in MODULES.values() for name in private_parts(tree)}
    assert used - needed - EMULATORS_OWN_DICTS == set()


def test_the_page_has_a_row_for_each_in_the_tables_order() -> None:
    page = (ROOT / "docs" / "local-platform.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.M) == list(TABLE)


EACH_WITHOUT = """
import asyncio, os, sys
from pathlib import Path
import ministack.app
from ministack.services import cloudformation, cloudwatch_logs, dynamodb, dynamodb_streams, firehose
from ministack.services import kinesis, lambda_svc, s3, sns, sqs, sts
from tidemill_local.patches import registry

folder = Path(sys.argv[1])
table = registry.patches(folder, folder / "state")

async def install_without(name):
    for other, install in table.items():
        if other != name:
            install()

for name in table:
    if not (child := os.fork()):
        try:
            asyncio.run(install_without(name))
        except BaseException as error:
            print(name, repr(error), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
"""In copies of one process, which has imported the emulator: 17 starts would take half a minute."""


def test_all_others_are_installed_without_each(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", EACH_WITHOUT, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_another_release_of_the_emulator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kinesis = types.ModuleType("ministack.services.kinesis")
    monkeypatch.setattr(ministack.services, "kinesis", kinesis, raising=False)
    TABLE["signatures"]()
    with pytest.raises(UnknownEmulator, match=r"has no _expire_records.*install ministack=="):
        TABLE["shard_state"]()


def test_it_is_the_release_that_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert RELEASE.replace("==", "[full]==") in project["optional-dependencies"]["local"]


def test_what_is_missing_is_named_with_its_module() -> None:
    with pytest.raises(UnknownEmulator, match=f"^types has no _one, _two: install {RELEASE}$"):
        require(types, "ModuleType", "_one", "_two")
