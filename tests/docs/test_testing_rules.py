"""docs/how-to/testing-rules.md works as printed: a trial, and a property that finds a hole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tree import ROOT
from tests.walkthrough import walkthrough

pytestmark = pytest.mark.timeout(300)

PAGE = ROOT / "docs/how-to/testing-rules.md"


@pytest.mark.slow
def test_the_page_works_as_printed(tmp_path: Path) -> None:
    with walkthrough(tmp_path) as reader:
        reader.read(PAGE.read_text())
    assert len(reader.ran) == 4
