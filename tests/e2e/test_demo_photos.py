"""The demo's photos, as a user runs it: drawn ones, and a folder of one's own."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_demo import run_demo
from tests.infra.tidemill_cli.commands.demo.photos.test_contact_sheet import Seen
from tests.tree import SHARED

pytestmark = pytest.mark.timeout(600)

FEW = ("--requests", "50", "--no-hostile", "--speed", "max", "--sheet", "sheet.html", "--json", "out.json")


def demo(folder: Path, *arguments: str) -> tuple[dict[str, Any], Seen, str]:
    done = run_demo(folder, *FEW, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((folder / "out.json").read_text())
    assert result["reconciled"] is True
    return result, Seen((folder / "sheet.html").read_text()), done.stdout


@pytest.mark.slow
def test_drawn_photos_come_and_go_and_bucket_table_and_index_agree(tmp_path: Path) -> None:
    result, sheet, said = demo(tmp_path)
    assert (result["photos"], result["refused_files"]) == (8, 1)
    # 50 requests; 8 photos are published and looked at, one is replaced and one deleted. The drawing is not sent.
    assert result["requests"] == result["replies"] == result["archived_rows"] == 50 + 8 + 8 + 2
    assert sheet.images[0]["alt"] == "Before dawn", "the replaced one is the newest"
    assert len(sheet.images) == 7
    assert "the demo replaced its photo by afternoon.webp" in sheet.text
    assert "the demo deleted its photo" in sheet.text
    assert "not uploaded: it is a Photoshop document" in sheet.text
    assert "reconciled: 8 photos" in said
    assert "uploaded 8 photos\nnot uploaded: drawing.psd: it is a Photoshop document" in said


@pytest.mark.slow
def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    photos = tmp_path / "holidays"
    photos.mkdir()
    (photos / "notes.txt").write_text("no photo")
    (photos / "secret.jpg").write_text("whether it is one, only root can read")
    (photos / "secret.jpg").chmod(0)
    (photos / os.fsdecode(b"br\xf6ken.jpg")).write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    result, sheet, said = demo(tmp_path, "--photos", "holidays")
    assert (result["photos"], result["refused_files"]) == (1, 2)
    assert ("it cannot be read: Permission denied" in sheet.text) is not os.access(photos / "secret.jpg", os.R_OK)
    assert not sheet.images
    assert "not uploaded: it is a file of an unknown kind" in sheet.text
    assert "br\N{REPLACEMENT CHARACTER}ken" in sheet.text
    assert "reconciled: 1 photo, of" in said


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data/photos").exists(), reason="the real photos are not beside this checkout")
def test_real_photos(tmp_path: Path) -> None:
    result, sheet, _ = demo(tmp_path, "--photos", str(SHARED / "data/photos"))
    # Eight orientations, and AVIF, JPEG, WebP, HEIC, GIF, BMP and PNG; a PSD, a video and a licence are no photos.
    assert (result["photos"], result["refused_files"]) == (15, 3)
    assert len(sheet.images) in (14, 15), "of which one is deleted"


def test_a_folder_that_is_none_is_told_before_anything_starts(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--photos", "missing")
    assert done.returncode == 1
    assert "missing is no folder with photos" in done.stderr
    assert "starting" not in done.stdout
