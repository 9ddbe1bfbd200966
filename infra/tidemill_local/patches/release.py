"""The emulator's release whose private parts the patches use; any other is refused at the start.

Room: local platform, pure.
Tests: tests/infra/tidemill_local/patches/test_registry.py.
"""

from __future__ import annotations

from types import ModuleType

RELEASE = "ministack==1.5.33"
"""The release that pyproject.toml pins."""


class UnknownEmulator(Exception):
    """The emulator is not the release whose internals are known here."""


def require(owner: ModuleType, *names: str) -> None:
    """Check that a module of the emulator has all names that a patch needs.

    Raises:
        UnknownEmulator: a name is missing.
    """
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise UnknownEmulator(f"{owner.__name__} has no {', '.join(missing)}: install {RELEASE}")
