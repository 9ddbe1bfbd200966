"""The objects that rules return, while a batch is folded: of each key those are stored that its new document names.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_objects.py.

A put to S3 costs as much as eight write units, and a document that is written ten times in a batch is saved once. So
what its earlier states named is never put. All that a key's rules return are kept until the fold ends, as a later rule
may take back a name that an earlier one took out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.json import encode as to_json

from tidemill.contract.places import object_names
from tidemill_consumers.core.batch import Object, State

LEAST_WEIGHT = 16 * 1024
"""Bytes that an object counts as, at least: a put of a small one takes as long."""

MOST_STORED = 32 * 1024 * 1024
"""Weight of the objects in a plan; once there is so much, it is stored before other keys begin: two seconds' work."""


def named_by(document: State, objects: Mapping[str, Object]) -> tuple[Object, ...]:
    """Those of the objects that the document names."""
    names = object_names(to_json(document))
    return tuple([one for name, one in objects.items() if name in names])


def weight_of(objects: Iterable[Object]) -> int:
    """Of how much of `MOST_STORED` they are."""
    return sum([max(len(one.data), LEAST_WEIGHT) for one in objects])
