"""Which tests run which functions of a module, and how long each takes: what a mutant's tests are chosen by.

The choice only saves time: a mutant that the chosen tests do not notice meets all of the module's tests.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

CALLED: set[str] = set()
"""What was called of the watched module since it was last looked at."""


class Watch:
    """A plugin of pytest that writes down the functions that each test calls, and its seconds."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self._test = ""
        self._seconds: dict[str, float] = {}
        self._tests: dict[str, set[str]] = {}
        vars(builtins)[_NAME] = CALLED

    def _look(self) -> None:
        for name in CALLED:
            self._tests.setdefault(name, set()).add(self._test)
        CALLED.clear()

    @pytest.hookimpl
    def pytest_runtest_logstart(self, nodeid: str, location: object) -> None:
        self._look()
        self._test = nodeid

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    @pytest.hookimpl
    def pytest_sessionfinish(self) -> None:
        self._look()
        called = {name: sorted(tests) for name, tests in self._tests.items() if "" not in tests}
        self._to.write_text(json.dumps({"seconds": self._seconds, "called": called}))


_NAME = "__called__"


class _Telling(ast.NodeTransformer):
    """Lets each function say that it is called: far cheaper than a trace of all there is."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        self._names.append(node.name)
        self.generic_visit(node)
        if not isinstance(node, ast.ClassDef):
            (told,) = ast.parse(f"{_NAME}.add({'.'.join(self._names)!r})").body
            node.body.insert(1 if ast.get_docstring(node, clean=False) is not None else 0, told)
        self._names.pop()
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _definition  # noqa: N815 # as ast wants them


def telling(text: bytes) -> ast.Module:
    """A module whose functions say that they are called."""
    module = _Telling().visit(ast.parse(text))
    assert isinstance(module, ast.Module)
    return ast.fix_missing_locations(module)


class Choice:
    """A plugin of pytest that runs only these tests, in their order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._rank = {test: rank for rank, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank), key=lambda item: self._rank[item.nodeid]
        )


def chosen(watched: Path, name: str) -> tuple[str, ...]:
    """The tests that call a function, the quickest first; none for what runs as the module is imported."""
    found = json.loads(watched.read_text())
    return tuple(sorted(found["called"].get(name, ()), key=found["seconds"].__getitem__))
