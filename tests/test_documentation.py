"""What pages name is there: links lead somewhere, files exist, and the version is the latest of the changelog."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.pages import PAGES
from tests.tree import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SOURCE = re.compile(r"`((?:\w+/)+\w+\.(?:py|toml|yaml|sql))`")
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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_it_names_are_there(page: Path) -> None:
    """With the end of their path, such as `core/plan.py`."""
    gone = [one for one in SOURCE.findall(page.read_text()) if page.name != "CHANGELOG.md" and not is_there(one)]
    assert gone == []


def is_there(end: str) -> bool:
    return any(next((ROOT / folder).glob(f"**/{end}"), None) for folder in ("producers", "consumers", "infra", "tests"))


def test_a_file_that_is_gone_is_seen() -> None:
    assert is_there("core/plan.py")
    assert not is_there("core/no_such_module.py")


def test_the_version_is_the_latest_of_the_changelog() -> None:
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert released[0] == version
    numbers = [tuple(map(int, one.split("."))) for one in released]
    assert numbers == sorted(numbers, reverse=True)
