"""Files that begin as photos do, what follows is nobody's picture; and a client to overhear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

BEGINNING = b"\xff\xd8\xff\xe0"


def photo(size: int, other: int = 0) -> bytes:
    """A file of so many bytes that begins as a JPEG; with `other`, another one."""
    pattern = bytes((n * n + other) % 251 for n in range(65_521))
    return (BEGINNING + pattern * (size // len(pattern) + 1))[:size]


class Overheard:
    """A boto3 client whose calls are told before they are made.

    Args:
        s3: the client.
        hear: is called with a call's name and arguments; its error is the call's.
    """

    def __init__(self, s3: Any, hear: Callable[[str, dict[str, Any]], None]) -> None:
        self._s3 = s3
        self._hear = hear

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._s3, name)
        if name not in self._s3.meta.method_to_api_mapping:
            return found

        def call(**arguments: Any) -> Any:
            self._hear(name, arguments)
            return found(**arguments)

        return call
