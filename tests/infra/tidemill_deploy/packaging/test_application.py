"""The user's part of a package: found by its module or its folder, and not run."""

import os
from pathlib import Path

import pytest

from tidemill_deploy.packaging.application import BUILT_IN, files_of, find, own_files
from tidemill_deploy.packaging.errors import PackagingError, RulesNotFound

OWN = "tidemill_consumers"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package with rules, in the current directory."""
    package = tmp_path / "shop"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__" / "rules.cpython-311.pyc").write_bytes(b"")
    (package / ".secret").write_text("")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "rules.py").write_text("RULES = {}")
    (package / "prices.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return package


def test_this_projects_part_is_three_packages_and_nothing_compiled() -> None:
    found = own_files()
    assert "tidemill/contract/request.py" in found
    assert f"{OWN}/core/__init__.py" in found
    assert {name.split("/")[0] for name in found} == {"tidemill", OWN, "tidemill_media"}
    assert not [name for name in found if "__pycache__" in name]


def test_the_rules_that_ship_bring_no_files_of_the_users() -> None:
    found = find(BUILT_IN)
    assert (found.rules, found.files, found.requirements) == (BUILT_IN, {}, None)


def test_brings_the_users_package_without_running_it(shop: Path) -> None:
    assert set(find("shop.rules").files) == {"shop/__init__.py", "shop/prices.json", "shop/rules.py"}


def test_brings_a_single_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lonely_rules.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert set(find("lonely_rules").files) == {"lonely_rules.py"}


def test_brings_the_modules_beside_it_that_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any remove and from within functions; not what nobody imports, what is installed, or Python's own."""
    (tmp_path / "seats.py").write_text("import boto3, prices\nRULES = {}\ndef later():\n    from rows import low")
    (tmp_path / "prices.py").write_text("from money.units import cent\nimport seats, json")
    (tmp_path / "money").mkdir()
    (tmp_path / "money" / "units.py").write_text("cent = 1")
    (tmp_path / "rows.py").write_text("low = (")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "stranger.py").write_text("")
    monkeypatch.chdir(tmp_path)
    assert set(find("seats").files) == {"seats.py", "prices.py", "money/units.py", "rows.py"}
    assert {Path(path).name for path in files_of("seats")} == {"seats.py", "prices.py", "units.py", "rows.py"}


def test_what_stands_beside_the_modules_says_what_they_require(shop: Path) -> None:
    assert find("shop.rules").requirements is None
    (shop.parent / "requirements.txt").write_text("")
    assert find("shop.rules").requirements == shop.parent / "requirements.txt"


def test_a_folder_brings_all_that_is_in_it_but_hidden_files_and_environments(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "seats.py").write_text("from typing import Any\nRULES: Any = {}")
    (shop / "rules.py").write_text("from seats import RULES")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "requirements.txt").write_text("")
    for named in (str(tmp_path), "."):
        found = find(named)
        assert found.rules == "seats"
        assert set(found.files) == {"seats.py", "shop/__init__.py", "shop/prices.json", "shop/rules.py"}
        assert found.requirements
        assert found.requirements.samefile(tmp_path / "requirements.txt")


def test_the_module_of_rules_may_be_within_a_package_of_the_folder(shop: Path, tmp_path: Path) -> None:
    assert find(str(tmp_path)).rules == "shop.rules"
    (shop / "__init__.py").write_text("RULES = {}")
    (shop / "rules.py").unlink()
    assert find(str(tmp_path)).rules == "shop"


def test_a_folder_must_have_one_module_of_rules(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "seats.py").write_text("RULES = {}")
    with pytest.raises(RulesNotFound, match=r"modules seats, shop\.rules do: name one"):
        find(".")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "broken.py").write_text("RULES = (")
    with pytest.raises(RulesNotFound, match="the folder none must assign RULES; none does"):
        find("none")


def test_a_package_is_a_module_by_its_name_and_no_folder_by_its_path(shop: Path) -> None:
    (shop / "__init__.py").write_text("RULES = {}")
    assert set(find("shop").files) >= {"shop/__init__.py"}
    with pytest.raises(RulesNotFound, match="is a package: name the folder that holds it"):
        find("./shop")


@pytest.mark.parametrize("rules", ["nowhere_at_all.rules", "shop.rule", f"{OWN}.nothing"])
def test_a_module_that_is_not_there_is_named_with_where_it_was_sought(shop: Path, rules: str) -> None:
    with pytest.raises(RulesNotFound, match=rf"no module {rules}, neither in .*PYTHONPATH"):
        find(rules)


@pytest.mark.parametrize(
    ("rules", "remedy"),
    [
        ("seats.py", "--rules seats"),
        ("shop/rules.py", "--rules shop.rules"),
        ("./seats.py", "--rules seats"),
        ("../seats.py", r"--rules seats, from the folder \.\."),
        ("/srv/seats.py", "--rules seats, from the folder /srv"),
        ("app\\seats", "not by their file"),
        ("docs/shop", "there is no folder docs/shop, seen from "),
        ("", "'' is no name of a module"),
        (".shop", "'.shop' is no name of a module"),
        ("my-shop", "'my-shop' is no name of a module"),
    ],
)
def test_what_is_no_module_is_told_how_it_is_named(rules: str, remedy: str) -> None:
    with pytest.raises(RulesNotFound, match=remedy):
        find(rules)


def test_a_module_named_by_its_path_without_a_suffix_is_told_how_it_is_named(shop: Path) -> None:
    with pytest.raises(RulesNotFound, match=r"--rules shop\.rules"):
        find("shop/rules")


def test_the_files_of_a_package_are_known_by_size_and_time(shop: Path) -> None:
    before = files_of("shop.rules")
    assert {Path(name).name for name in before} == {"__init__.py", "rules.py", "prices.json"}
    os.utime(shop / "rules.py", (1, 1))
    after = files_of("shop.rules")
    assert [Path(name).name for name in after if after[name] != before[name]] == ["rules.py"]


def test_a_pipe_among_the_files_is_left_alone(shop: Path) -> None:
    os.mkfifo(shop / "pipe")
    assert "shop/pipe" not in find("shop.rules").files


def test_linked_folders_are_brought_with_what_is_in_them(shop: Path, tmp_path: Path) -> None:
    shared = tmp_path / "elsewhere" / "tables"
    shared.mkdir(parents=True)
    (shared / "rows.json").write_text("{}")
    (shop / "tables").symlink_to(shared)
    (shared / "again").symlink_to(shared.parent / "more")
    (shared.parent / "more").mkdir()
    (shared.parent / "more" / "seats.json").write_text("{}")
    assert {"shop/tables/rows.json", "shop/tables/again/seats.json"} <= set(find("shop.rules").files)


@pytest.mark.parametrize("to", [".", "..", "../shop"])
def test_a_link_to_a_folder_that_it_lies_in_is_refused(shop: Path, to: str) -> None:
    (shop / "loop").symlink_to(to)
    with pytest.raises(PackagingError, match=r"shop/loop is a link to .*, a folder that it lies in; remove the link"):
        find("shop.rules")


def test_folders_that_link_to_each_other_are_refused(shop: Path) -> None:
    for one, other in (("seats", "prices"), ("prices", "seats")):
        (shop / one).mkdir()
        (shop / one / "beside").symlink_to(f"../{other}")
    with pytest.raises(PackagingError, match=r"beside/beside is a link to \.\./"):
        find("shop.rules")
