"""The project's own pages, as whoever pastes from them reads them."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from tests.tree import ROOT

README = ROOT / "README.md"
APPLICATION = ROOT / "docs/application.md"
ARCHIVE = ROOT / "docs/archive.md"
CONTRACT = ROOT / "docs/contract.md"
PHONE = ROOT / "docs/phone.md"
PHONE_PHOTOS = ROOT / "docs/phone-photos.md"
PHOTOS = ROOT / "docs/photos.md"
PRODUCER = ROOT / "docs/producer.md"

FOLDERS = [ROOT / name for name in ("docs", "producers", "consumers", "analytics_sql", "infra")]
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in folder.rglob("*.md"))])
"""All pages: those at the top, those of docs/, and those beside what they are about."""


def blocks(heading: str, page: Path = README) -> list[str]:
    """The indented blocks of code under a heading."""
    return blocks_of(page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0])


def blocks_of(text: str) -> list[str]:
    """The indented blocks of code, each ending with its line."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    return [dedent(block).strip("\n") + "\n" for block in found if block.strip()]
