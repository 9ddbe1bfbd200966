"""Where a command's result goes: into the file that is named, and behind no link."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidemill_cli.result_file import check_writable, write_private, write_result

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(("write", "others"), [(write_result, 0o044), (write_private, 0)])
def test_a_result_is_written(tmp_path: Path, write: Callable[[Path, str], None], others: int) -> None:
    path = tmp_path / "result.json"
    for text in ("longer than the next", "short"):
        check_writable(path)
        write(path, text)
        assert path.read_text() == text
    assert path.stat().st_mode & 0o077 & ~others == 0


@pytest.mark.parametrize("write", [write_result, write_private])
def test_a_link_is_not_followed(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    theirs, link = tmp_path / "theirs", tmp_path / "result.json"
    theirs.write_text("theirs")
    link.symlink_to(theirs)
    for do in (check_writable, lambda path: write(path, "mine")):
        with pytest.raises(OSError, match=r"result\.json.*is a link to .*theirs; name the file itself"):
            do(link)
    assert theirs.read_text() == "theirs"


def test_the_systems_own_links_are(capfd: pytest.CaptureFixture[str]) -> None:
    write_result(Path("/dev/stdout"), "told")
    assert capfd.readouterr().out == "told"
