"""Folders, modules and classes that can be looked over; a test for each module; headers that hold; plain docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tree import ROOT

FOLDERS = ("producers", "consumers", "analytics_sql", "infra")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
IN_A_FOLDER = 12
IN_A_MODULE = 350
"""Lines."""

IN_A_CLASS = 12
"""Methods."""

ONE_IDEA = "One idea: "
"""How the sentence begins by which a larger module or class says why it is not two."""

DOES_IO = {"boto3", "http", "os", "pathlib", "requests", "shutil", "socket", "subprocess", "tempfile"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
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
def test_a_large_module_or_class_says_why_it_is_one_idea(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    large = [one for one in classes if sum(isinstance(node, FUNCTIONS) for node in one.body) > IN_A_CLASS]
    unsaid = [one.name for one in large if ONE_IDEA not in f"{ast.get_docstring(one)} {header(path)}"]
    assert unsaid == []
    assert len(text.splitlines()) <= IN_A_MODULE or ONE_IDEA in header(path)


def imported(path: Path) -> set[str]:
    """The packages that the module itself imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=aliases):
                names += [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module)):
                names.append(module)
    return {one.partition(".")[0] for one in names}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_header_that_says_no_io_holds(path: Path) -> None:
    if "no i/o" in header(path).lower():
        assert imported(path) & DOES_IO == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_docstring_stands_alone(path: Path) -> None:
    strings = [
        (node.lineno, node.value.value)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    assert [(line, text[:60]) for line, text in strings if text.startswith(NOT_ALONE)] == []
