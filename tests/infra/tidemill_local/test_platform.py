"""What the platform says before anything of it starts."""

from pathlib import Path

import pytest

from tidemill_local.platform import Platform


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("RULES = {'item.put': print}", ["RULES lacks content.processed and content.removed"]),
        ("from tidemill_consumers.media import RULES as MEDIA\nRULES = {**MEDIA, 'item.put': print}", []),
    ],
    ids=["without", "with"],
)
def test_rules_that_photos_need_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, says: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seats.py").write_text(rules)
    said: list[str] = []
    Platform(0, {"Rules": "seats", "Photos": "on"}, say=said.append)._code()
    assert [line.partition(": with Photos=on")[0] for line in said] == says
