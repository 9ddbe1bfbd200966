"""Which patches are left out, by their names in an environment variable.

Room: local platform, pure. To see what the emulator does without one, or whether a new release of it still needs it.
"""

from __future__ import annotations

from collections.abc import Collection

VARIABLE = "TIDEMILL_WITHOUT_PATCHES"
"""The environment variable: names with commas between them."""


class UnknownPatch(ValueError):
    """The variable names a patch that there is not."""


def left_out(setting: str, known: Collection[str]) -> frozenset[str]:
    """The names that the variable holds.

    Raises:
        UnknownPatch: one of them is not among the `known`.
    """
    names = {name.strip() for name in setting.split(",")} - {""}
    if unknown := sorted(names - set(known)):
        raise UnknownPatch(f"{VARIABLE} names no patch: {', '.join(unknown)}; there are {', '.join(known)}")
    return frozenset(names)
