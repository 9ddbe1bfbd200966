"""Every mutant has its function, and one whose function or text is gone says so."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS, Mutant, every_mutant


def source_of(mutant: Mutant) -> str:
    spec = importlib.util.find_spec(mutant.module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text()


@pytest.mark.parametrize("mutant", every_mutant(), ids=lambda mutant: mutant.name)
def test_a_mutant_changes_its_function_and_leaves_a_module_that_compiles(mutant: Mutant) -> None:
    text = source_of(mutant)
    changed = mutant.applied(text)
    assert changed != text
    compile(changed, mutant.module, "exec")


def test_a_mutant_whose_function_is_gone_fails() -> None:
    mutant = MUTANTS[0]
    with pytest.raises(SystemExit, match="0 definitions of gone"):
        replace(mutant, function="gone").applied(source_of(mutant))


def test_a_mutant_whose_text_is_gone_from_its_function_fails() -> None:
    mutant = MUTANTS[0]
    with pytest.raises(SystemExit, match="stands 0 times"):
        replace(mutant, old="gone").applied(source_of(mutant))
