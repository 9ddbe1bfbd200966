"""The links of all pages lead somewhere: to a file of the tree, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import PAGES
from tests.tree import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^( *)```.*?^\1```|^ {4,}.*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path) -> list[str]:
    """The links of a page that lead to nothing."""
    return [
        link for link in LINK.findall(CODE.sub("", page.read_text())) if "://" not in link and not leads(page, link)
    ]


def leads(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def test_there_are_pages() -> None:
    assert {"README.md", "docs/contract.md", "docs/guarantees.md"} <= set(map(name, PAGES))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_its_links_lead_somewhere(page: Path) -> None:
    assert dead(page) == []


@pytest.mark.parametrize("link", ["nowhere.md", "README.md#no-such-heading", "#no-such-heading"])
def test_a_dead_link_is_seen(link: str) -> None:
    assert not leads(ROOT / "README.md", link)
