"""docs/examples/shop works as its README says, from its tests to its client on the local platform."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tree import ROOT
from tests.walkthrough import walkthrough

pytestmark = pytest.mark.timeout(300)

SHOP = ROOT / "docs/examples/shop"


@pytest.mark.slow
def test_the_shop_runs_as_its_readme_says(tmp_path: Path) -> None:
    for path in SHOP.glob("*.py"):
        shutil.copy(path, tmp_path)
    with walkthrough(tmp_path) as shop:
        shop.read((SHOP / "README.md").read_text())
    assert "python client.py" in shop.ran
