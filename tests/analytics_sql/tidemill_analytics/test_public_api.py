"""What the archive promises by name, and that importing the package is light."""

import subprocess
import sys

import pytest

import tidemill_analytics


def test_the_exported_names() -> None:
    assert tidemill_analytics.__all__ == ["Archive", "ArchiveError"]


def test_every_exported_name_is_there() -> None:
    for name in tidemill_analytics.__all__:
        assert getattr(tidemill_analytics, name), name


def test_importing_it_is_light() -> None:
    program = "import sys, tidemill_analytics; print(sorted({'duckdb', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'tidemill_analytics' has no attribute 'query'"):
        getattr(tidemill_analytics, "query")  # noqa: B009 - a type checker tells it, too
