"""The PartiQL statements that save entities.

Room: codec, no I/O. Tests: tests/consumers/tidemill_consumers/adapters/test_entities.py.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Write

PLACE = ("cell", "geohash")
"""The attributes by which the table's index finds an item by its place; an item without them is not in it."""


def statement_of(table: str, write: Write) -> Any:
    """The statement that saves the write's entity, if its version is still the expected one."""
    assert write.new_entity is not None, "only writes that change something are saved"  # noqa: S101
    item = to_item(write.new_entity)
    if write.expected_version == 0:
        return {"Statement": _insert(table, tuple(item)), "Parameters": list(item.values())}
    key = item.pop("pk")
    return {
        "Statement": _update(table, tuple(item), PLACE if write.leaves_place else ()),
        "Parameters": [*item.values(), key, {"N": str(write.expected_version)}],
    }


@cache
def _insert(table: str, names: tuple[str, ...]) -> str:
    values = ", ".join(f"'{name}': ?" for name in names)
    return f'INSERT INTO "{table}" VALUE {{{values}}}'


@cache
def _update(table: str, names: tuple[str, ...], gone: tuple[str, ...]) -> str:
    values = " ".join([*(f"SET {name} = ?" for name in names), *(f"REMOVE {name}" for name in gone)])
    return f'UPDATE "{table}" {values} WHERE pk = ? AND ver = ?'
