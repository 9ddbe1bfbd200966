"""Folders that can be looked over, a test for each module, and docstrings that stand alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tree import ROOT

FOLDERS = ("producers", "consumers", "analytics_sql", "infra")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
IN_A_FOLDER = 12
NOT_ALONE = ("As above", "Likewise", "The same", "Same ", "So many", "The rest", "And ")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_folder_can_be_looked_over() -> None:
    folders = {path.parent for path in MODULES}
    modules = {name(one): len([path for path in one.glob("*.py") if path.name != "__init__.py"]) for one in folders}
    assert {one: count for one, count in modules.items() if count > IN_A_FOLDER} == {}


def header(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_has_a_test_of_its_name_or_says_which_test_holds_it(path: Path) -> None:
    beside = ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name}")
    if path.name == "__init__.py" or beside.exists():
        return
    named = [word.rstrip(".,;:") for word in header(path).split() if word.startswith("tests/")]
    assert named, f"no {name(beside)}, and no tests/… in the header of {name(path)}"
    assert [one for one in named if not (ROOT / one).exists()] == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_docstring_stands_alone(path: Path) -> None:
    strings = [
        (node.lineno, node.value.value)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    assert [(line, text[:60]) for line, text in strings if text.startswith(NOT_ALONE)] == []
