"""An index of packages in which all that the functions need is small."""

from pathlib import Path

import pytest

from tests.wheels import lock, wheel

SPANS = "spans.py"
"""A file of what functions need in order to make spans."""


@pytest.fixture
def one_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the functions need is one small package, and another one with traces."""
    (tmp_path / "simple").mkdir()
    base = wheel(tmp_path, "base", "1.0", {"base.py": b"BASE = 1\n" * 200_000})
    lock(tmp_path / "signing.lock", [base])
    lock(tmp_path / "media.lock", [base])
    lock(tmp_path / "tracing.lock", [base, wheel(tmp_path, "spans", "1.0", {SPANS: b"SPANS = 1\n"})])
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "simple").as_uri())
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setattr("tidemill_deploy.packaging.packages.LOCKS", tmp_path)
