"""Errors of packaging: each message says what is wrong, and what to do.

Room: packaging, pure. Tests: tests/infra/tidemill_deploy/packaging/test_contents.py.
"""

from __future__ import annotations


class PackagingError(Exception):
    """A function's package cannot be made."""


class RulesNotFound(PackagingError):
    """The module of rules is not on Python's path, or has no rules that can be loaded."""
