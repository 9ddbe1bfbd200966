"""Clients of services that few batches need, made when they are first used.

Room: adapters. Making a boto3 client takes 5 to 40 ms of a cold start, most of it for reading the service's model.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

_making = Lock()
"""Making clients of one session is not safe among threads."""


def made(make: Callable[[], Any]) -> Any:
    """The client that `make` makes, made now."""
    return make()


def at_need(make: Callable[[], Any]) -> Any:
    """Stands for the client that `make` makes, which is made when an attribute of it is first asked for."""
    return _AtNeed(make)


class _AtNeed:
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            with _making:
                if self._made is None:
                    self._made = self._make()
        return getattr(self._made, name)
