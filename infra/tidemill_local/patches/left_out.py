"""Reads from an environment variable which patches to leave out.

Room: local platform, pure. Serves to see the emulator's own behaviour, or whether a new release still needs a patch.
"""

from __future__ import annotations

from collections.abc import Collection

VARIABLE = "TIDEMILL_WITHOUT_PATCHES"
"""The environment variable: patches' names, separated by commas."""


class UnknownPatch(ValueError):
    """The variable names a patch that does not exist."""


def left_out(setting: str, known: Collection[str]) -> frozenset[str]:
    """The names that the variable holds.

    Raises:
        UnknownPatch: one of them is not among the `known`.
    """
    names = {name.strip() for name in setting.split(",")} - {""}
    if unknown := sorted(names - set(known)):
        raise UnknownPatch(f"{VARIABLE} names no patch: {', '.join(unknown)}; there are {', '.join(known)}")
    return frozenset(names)
