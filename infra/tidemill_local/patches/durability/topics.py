"""SNS's topics during a replay of the journal: they deliver to queues only, because all others were notified before.

Room: local platform. A delivery to a function or an address that was in flight is lost with the process.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quiet(sns: Any) -> Iterator[None]:
    """In the block, no topic delivers to a function or to an address."""

    async def untold(*_: Any) -> None:
        pass

    names = ("_deliver_to_lambda", "_deliver_to_http")
    kept = {name: getattr(sns, name) for name in names}
    sns._deliver_to_lambda, sns._deliver_to_http = (lambda *_: None), untold
    try:
        yield
    finally:
        for name, deliver in kept.items():
            setattr(sns, name, deliver)
