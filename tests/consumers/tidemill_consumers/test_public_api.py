"""What the consumers promise by name, and that every page and example imports from the packages' faces only."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import tidemill_consumers
from tests.pages import PAGES, blocks_of
from tests.tree import ROOT
from tidemill.contract.request import PROBE

FACES = {"tidemill", "tidemill_consumers", "tidemill_consumers.testing", "tidemill_event_source"}
FACES |= {"tidemill_analytics", "tidemill_load"}

EXAMPLES = sorted((ROOT / "docs").rglob("*.py"))

HISTORY = {"CHANGELOG.md"}
"""Tells where names were and are."""

ENTRIES = {"tidemill_consumers.media"}
"""Values of the template's parameter Rules, whose table an application may take into its own."""

FENCED = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
IMPORT = re.compile(r"^\s*(?:from|import) tidemill", re.MULTILINE)
WITHIN = re.compile(r"\btidemill(?:_\w+)?(?:\.\w+)+")


def test_the_exported_names() -> None:
    assert tidemill_consumers.__all__ == [
        "Accepted",
        "Aggregatable",
        "Blob",
        "Emit",
        "Internal",
        "Ref",
        "Rejected",
        "Request",
        "Rule",
        "Rules",
        "State",
        "Total",
        "Verified",
        "ref",
    ]


def test_every_exported_name_is_there() -> None:
    for name in tidemill_consumers.__all__:
        assert getattr(tidemill_consumers, name), name


def code(page: str) -> Iterator[str]:
    """The Python of a page: fenced blocks, and indented ones that import from this project."""
    yield from (block.replace(f"\n{indent}", "\n").removeprefix(indent) for indent, block in FENCED.findall(page))
    yield from (block for block in blocks_of(FENCED.sub("", page)) if IMPORT.search(block))


def imported(source: str) -> Iterator[tuple[str, str]]:
    """The modules of this project that Python code imports, each with a name that it takes from there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "__name__") for alias in node.names if alias.name.startswith("tidemill"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tidemill"):
            yield from ((str(node.module), alias.name) for alias in node.names)


def beyond_the_faces(source: str) -> list[tuple[str, str]]:
    """The imports of names that no face hands on."""
    return [
        (module, name)
        for module, name in imported(source)
        if module not in FACES | ENTRIES or not handed_on(module, name)
    ]


def handed_on(module: str, name: str) -> bool:
    face = import_module(module)
    return hasattr(face, name) and (name == "__name__" or name in getattr(face, "__all__", [name]))


def test_pages_import_from_the_faces_only() -> None:
    sources = [(page, block) for page in PAGES for block in code(page.read_text())]
    assert sum(bool(IMPORT.search(block)) for _, block in sources) >= 5
    assert {page.name: beyond for page, block in sources if (beyond := beyond_the_faces(block))} == {}


def test_examples_import_from_the_faces_only() -> None:
    assert {path.name: beyond for path in EXAMPLES if (beyond := beyond_the_faces(path.read_text()))} == {}


ATTRIBUTES = ("tidemill.cmd", "tidemill.status")
"""Of spans."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_prose_names_the_faces_only(page: Path) -> None:
    """A reader who is told to use `tidemill.aws.cognito` would import from it."""
    if page.name in HISTORY:
        return
    named = {name for name in WITHIN.findall(page.read_text()) if not is_public(name)}
    assert named == set()


def is_public(name: str) -> bool:
    """Whether a dotted name is a face, or what one hands on, or is told in another way than as a module."""
    if name in FACES or name in ENTRIES or name in (PROBE, *ATTRIBUTES):
        return True
    face, _, what = name.rpartition(".")
    return face in FACES and handed_on(face, what)


@pytest.mark.parametrize("name", ["tidemill.aws.cognito", "tidemill_load.cost_model.cost", "tidemill.Consumer"])
def test_a_name_from_within_is_seen(name: str) -> None:
    assert WITHIN.findall(f"see `{name}`.") == [name]
    assert not is_public(name)


@pytest.mark.parametrize(
    "line",
    [
        "from tidemill_consumers.core.batch import Accepted",
        "from tidemill_consumers import core",
        "from tidemill_local import Emulator",
        "import tidemill.sending.writer",
    ],
)
@pytest.mark.parametrize(
    "page", ["```python\n{}\n```\n", "1. Such as\n\n   ```python\n   {}\n   ```\n", "text\n\n    {}\n"]
)
def test_an_import_from_within_is_seen_in_every_kind_of_block(line: str, page: str) -> None:
    (block,) = code(page.format(line))
    assert beyond_the_faces(block)


def test_the_application_that_ships_takes_its_outcomes_from_the_face() -> None:
    media = Path(str(tidemill_consumers.__file__)).with_name("media")
    taken = {module for path in media.glob("*.py") for module, _ in imported(path.read_text())}
    assert taken == {"tidemill_consumers", "tidemill_consumers.media", "tidemill.contract.request"}
