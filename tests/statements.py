"""The statements that entities are saved by, read by what stands in for DynamoDB."""

import re
from functools import lru_cache


@lru_cache(maxsize=64)
def inserted(statement: str) -> tuple[str, ...]:
    """The attributes that an INSERT has, in the order of its parameters."""
    return tuple(re.findall(r"'(\w+)': \?", statement))


@lru_cache(maxsize=64)
def removed(statement: str) -> frozenset[str]:
    """The attributes that an UPDATE takes away."""
    return frozenset(re.findall(r" REMOVE (\w+)", statement.partition(" WHERE ")[0]))


@lru_cache(maxsize=64)
def updated(statement: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The attributes that an UPDATE sets, and those that it compares, in the order of its parameters."""
    head, _, tail = statement.partition(" WHERE ")
    return tuple(re.findall(r"SET (\w+) = \?", head)), tuple(re.findall(r"(\w+) = \?", tail))
