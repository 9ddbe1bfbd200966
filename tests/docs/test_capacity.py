"""docs/how-to/capacity.md works as printed, and its figures are the code's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tree import ROOT
from tests.walkthrough import walkthrough
from tidemill.contract.lanes import LANES
from tidemill_deploy.capacity.counting import MOST_HASHES, MOST_KEYS
from tidemill_deploy.capacity.hot_keys import FULL, HOT, HOT_KEY_PAGE, IDLE
from tidemill_deploy.capacity.reading import READ_BYTES, READ_SECONDS
from tidemill_deploy.capacity.steps import MOST_CHANGES

pytestmark = pytest.mark.timeout(300)

PAGE = ROOT / "docs/how-to/capacity.md"


@pytest.mark.slow
def test_the_page_works_as_printed(tmp_path: Path) -> None:
    with walkthrough(tmp_path) as reader:
        reader.read(PAGE.read_text())
    assert [line.split()[1] for line in reader.ran] == ["up", "send", "hot-keys", "scale"]


def test_its_figures_are_the_codes() -> None:
    text = " ".join(PAGE.read_text().split())
    assert f"a shard takes {FULL:.0%} of what it can" in text
    assert f"no shard takes more than {IDLE:.0%}" in text
    assert (HOT, READ_SECONDS, READ_BYTES, MOST_CHANGES, LANES) == (0.5, 1.0, 512 * 1024, 10, 64)
    assert (2 * MOST_KEYS, MOST_HASHES) == (2048, 1024)
    assert (ROOT / HOT_KEY_PAGE) == PAGE
