"""The rules of a platform that runs: whether their files change.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/up/test_function_log.py.
"""

from __future__ import annotations

from contextlib import suppress

from tidemill_deploy.packaging.application import BUILT_IN, files_of
from tidemill_deploy.packaging.errors import PackagingError


class RulesWatch:
    """Looks at the files of a module of rules, and of the package that it is in.

    Args:
        rules: the module. The built-in rules are never looked at: nobody develops them by this.
    """

    def __init__(self, rules: str) -> None:
        self.rules = rules
        self._known = self._now()

    def have_changed(self) -> bool:
        """Whether they have since this was asked last."""
        before, self._known = self._known, self._now()
        return before != self._known

    def _now(self) -> dict[str, tuple[int, int]]:
        if self.rules == BUILT_IN:
            return {}
        with suppress(PackagingError, OSError):
            return files_of(self.rules)
        return {}
