"""Mutants judged to change nothing that anybody could see: equivalent.toml, one entry each, with the reason.

An entry names the module, the function, and the line before and after, so that it holds while other lines move.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .changes import Edit
from .modules import ROOT

FILE = Path(__file__).with_name("equivalent.toml")


class Key(NamedTuple):
    """A mutant by its texts."""

    module: str
    function: str
    line: str
    mutated: str


@dataclass(frozen=True)
class Equivalents:
    """The file's entries."""

    keys: frozenset[Key]

    @classmethod
    def read(cls, file: Path = FILE) -> Equivalents:
        """The entries of the file; each must say why."""
        entries = tomllib.loads(file.read_text()).get("equivalent", [])
        for one in entries:
            if not one["reason"]:
                raise SystemExit(f"{file.name}: no reason beside {one['module']}: {one['mutated']}")
        return cls(frozenset(Key(*(one[field] for field in Key._fields)) for one in entries))

    def has(self, path: str, edit: Edit, text: bytes) -> bool:
        """Whether the mutant was judged."""
        return key(path, edit, text) in self.keys

    def stale(self, paths: Iterable[str]) -> Iterator[str]:
        """Entries whose line does not stand in their module any more."""
        for path in paths:
            lines = " ".join((ROOT / path).read_text().split())
            yield from sorted(
                f"{path}: {one.line}" for one in self.keys if one.module == path and one.line not in lines
            )


def key(path: str, edit: Edit, text: bytes) -> Key:
    """What a mutant is known by."""
    _, line, mutated = edit.lines(text)
    return Key(path, edit.function, line, mutated)


def entry(path: str, edit: Edit, text: bytes) -> str:
    """The mutant in the file's form, its reason yet to be written."""
    fields = {**key(path, edit, text)._asdict(), "reason": ""}
    return "\n".join(["[[equivalent]]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items()), "\n"])
