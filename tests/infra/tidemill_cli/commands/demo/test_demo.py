"""What a demo tells of its photos when their sheet cannot be written, without a platform."""

import argparse
import json
from pathlib import Path

import pytest

from tidemill_cli.commands.demo import command
from tidemill_cli.commands.demo.demo import Demo
from tidemill_cli.commands.demo.report import Result


class Photos:
    """The demo's, all of which agree."""

    def disagreements(self, say: object) -> list[str]:
        return []

    def sheet(self) -> str:
        return "the sheet"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_sheet_that_cannot_be_written_leaves_the_other_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(self: Demo) -> Result:
        self._compare(Photos())  # type: ignore[arg-type]
        return self._result

    monkeypatch.setattr(Demo, "run", run)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    kept, result = tmp_path / "kept", tmp_path / "out.json"
    code = command.run(parser.parse_args(["--sheet", "/dev/full", "--keep", str(kept), "--json", str(result)]))
    assert code == 1
    assert "tidemill demo: /dev/full cannot be written: No space left on device" in capsys.readouterr().err
    assert (kept / "contact-sheet.html").read_text() == "the sheet"
    told = json.loads(result.read_text())
    assert (told["reconciled"], told["sheet"]) == (True, str(kept / "contact-sheet.html"))
    assert len(told["not_written"]) == 1
