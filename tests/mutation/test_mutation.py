"""The mutants' own tests: which changes there are, what is left alone, and who notices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.changes import compiles, edits
from tests.mutation.equivalent import Equivalents, entry, key
from tests.mutation.modules import ROOT, TESTS

TEXT = b'''\
"""What it is about."""
LIMIT = 3
Kind: TypeAlias = Literal["untouched"]

def f(a: "int | None", b=2, *, sure=True):
    """Never touched."""
    if a < LIMIT and not b:
        log.warning("no %s", a)
        raise ValueError("too few")
    for one in a:
        if one is None:
            continue
        b += g(one, size=4)
    return a[1:]

class C:
    def m(self):
        self.x = "text"
'''


def mutated() -> set[tuple[str, str]]:
    return {edit.lines(TEXT)[1:] for edit in edits(TEXT) if compiles(edit.apply(TEXT))}


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("LIMIT = 3", ["LIMIT = 4", "LIMIT = 2"]),
        (
            'def f(a: "int | None", b=2, *, sure=True):',
            [f'def f(a: "int | None", b={b}, *, sure={sure}):' for b, sure in ((1, True), (3, True), (2, False))],
        ),
        (
            "if a < LIMIT and not b:",
            [
                f"if {condition}:"
                for condition in (
                    "a <= LIMIT and not b",
                    "a >= LIMIT and not b",
                    "((a < LIMIT) or (not b))",
                    "True and not b",
                    "a < LIMIT and True",
                    "a < LIMIT and bool(b)",
                    "not (a < LIMIT and not b)",
                    "True",
                    "False",
                )
            ],
        ),
        ('raise ValueError("too few")', ["pass"]),
        ("continue", ["break", "pass"]),
        (
            "b += g(one, size=4)",
            ["pass", "b -= g(one, size=4)", "b += g(one)", "b += g(one, size=5)", "b += g(one, size=3)"],
        ),
        ("return a[1:]", ["return None", "return a[2:]", "return a[0:]", "return a[:]"]),
        ('self.x = "text"', ["pass", "self.x = ''"]),
    ],
)
def test_a_line_has_these_mutants(line: str, changes: list[str]) -> None:
    assert {after for before, after in mutated() if before == line} == set(changes)


def test_what_is_no_behaviour_has_none() -> None:
    assert not any("touched" in before or "about" in before or "log." in before for before, _ in mutated())


def test_an_edit_knows_its_function_and_its_line() -> None:
    found = {(edit.function, edit.lines(TEXT)[0]) for edit in edits(TEXT)}
    assert {("", 2), ("", 5), ("f", 7), ("C.m", 18)} <= found


def test_a_judged_mutant_is_known_wherever_its_line_moves(tmp_path: Path) -> None:
    (edit,) = (one for one in edits(TEXT) if one.lines(TEXT)[2] == "return a[:]")
    file = tmp_path / "equivalent.toml"
    file.write_text(entry("m.py", edit, TEXT).replace('reason = ""', 'reason = "a is short"'))
    moved = b"\n\n" + TEXT
    (later,) = (one for one in edits(moved) if one.lines(moved)[2] == "return a[:]")
    judged = Equivalents.read(file)
    assert judged.has("m.py", later, moved)
    assert not judged.has("n.py", later, moved)
    assert judged.keys == {key("m.py", edit, TEXT)}


def test_a_judgement_without_a_reason_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "equivalent.toml"
    file.write_text(entry("m.py", edits(TEXT)[0], TEXT))
    with pytest.raises(SystemExit, match="no reason beside"):
        Equivalents.read(file)


def test_the_projects_judgements_are_readable() -> None:
    assert all(one.line != one.mutated for one in Equivalents.read().keys)


def test_the_modules_and_their_tests_are_there() -> None:
    assert [path for path, tests in TESTS.items() for path in (path, *tests) if not (ROOT / path).exists()] == []


TRIAL = """
import subprocess
import sys
from pathlib import Path
from tests.mutation.trial import Run, each

folder = Path(sys.argv[1])
run = lambda text, **more: Run("tried", folder / "tried.py", text, (str(folder / "test_tried.py"),), 2.0, 60.0, **more)
watched = folder / "watched.json"
first = [ran.passed for ran in each([run(b"def f(): return 1", watched=watched)], 1, folder / "log")]
texts = [b"def f(): return 2", b"def f(): return 1.0", b"def f():\\n  while True: pass", b"def f("]
ends = {ran.run.text: ran.code for ran in each([run(text, chosen=("no test",)) for text in texts], 2, folder / "log")}
print(first, [ends[text] for text in texts], watched.read_text())
"""


@pytest.mark.slow
def test_tests_notice_a_wrong_answer_and_an_endless_loop(tmp_path: Path) -> None:
    (tmp_path / "tried.py").write_text("def f(): return 1\n")
    (tmp_path / "test_tried.py").write_text("import tried\n\ndef test_f(): assert tried.f() == 1\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    done = _run(tmp_path)
    assert done.startswith("[True] [1, 0, None, 2] "), done
    assert '"called": {"f": ["test_tried.py::test_f"]}' in done


def _run(folder: Path) -> str:
    command = [sys.executable, "-c", TRIAL, str(folder)]
    paths = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True, timeout=100, check=False)
    return done.stdout or done.stderr
