"""The functions' packages: the same bytes each time, with the rules and what they require, by uv or of what is here."""

import hashlib
import io
import os
import re
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.wheels import wheel
from tidemill_deploy.packaging.application import BUILT_IN
from tidemill_deploy.packaging.errors import PackagingError, RulesNotFound
from tidemill_deploy.packaging.functions import FUNCTIONS, Function
from tidemill_deploy.packaging.packages import code_here, package
from tidemill_deploy.packaging.wheels import Target


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rules."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "seats.py").write_text("import prices\nRULES = {}")
    (folder / "prices.py").write_text("")
    monkeypatch.chdir(folder)
    return folder


def names(code: bytes) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(code)).namelist())


def test_packaging_twice_gives_the_same_bytes(target: Target, shop: Path, tmp_path: Path) -> None:
    first = package("seats", target, tmp_path / "first")
    for path in shop.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    second = package("seats", target, tmp_path / "second" / "deep")
    assert [one.function for one in first] == ["Apply", "Direct", "Index", "Media"]
    for one, again in zip(first, second, strict=True):
        code = one.path.read_bytes()
        assert code == again.path.read_bytes()
        assert (hashlib.sha256(code).hexdigest(), len(code)) == (one.sha256, one.zipped)
        found = names(code)
        assert {
            "seats.py",
            "prices.py",
            "tidemill_consumers/apply.py",
            "msgspec/__init__.py",
        } <= found
        assert not [name for name in found if name.endswith(("/RECORD", ".pyc")) or "__pycache__" in name]
    (shop / "prices.py").write_text("changed = True")
    assert package("seats", target, tmp_path / "third")[0].sha256 != first[0].sha256


def test_a_zip_that_is_read_meanwhile_stays_whole(target: Target, shop: Path, tmp_path: Path) -> None:
    first = package("seats", target, tmp_path / "out")[0]
    before = first.path.read_bytes()
    (shop / "prices.py").write_text("changed = True")
    with first.path.open("rb") as reader:
        half = reader.read(len(before) // 2)
        again = package("seats", target, tmp_path / "out")[0]
        assert half + reader.read() == before
    assert hashlib.sha256(again.path.read_bytes()).hexdigest() == again.sha256 != first.sha256
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(one.file for one in FUNCTIONS)
    assert again.path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


def test_compiled_modules_are_the_same_bytes_each_time_too(target: Target, shop: Path, tmp_path: Path) -> None:
    first, second = (package("seats", target, tmp_path / out, compile_modules=True)[0] for out in ("first", "second"))
    assert first.sha256 == second.sha256
    found = names(first.path.read_bytes())
    tag = sys.implementation.cache_tag
    assert {f"__pycache__/seats.{tag}.pyc", f"tidemill_consumers/__pycache__/apply.{tag}.pyc"} <= found


def test_what_the_rules_require_is_in_it_and_is_tried_with_them(
    target: Target, small_index: Path, shop: Path, tmp_path: Path
) -> None:
    wheel(small_index / "wheels", "tidemill-test-shelf", "1.0", {"shelf.py": b"BOOKS = 3"})
    (shop / "seats.py").write_text("import shelf\nRULES = {}")
    with pytest.raises(RulesNotFound, match=r"No module named 'shelf'.*requirements\.txt"):
        package(".", target, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (shop / "requirements.txt").write_text("tidemill-test-shelf\n")
    for one in package(".", target, tmp_path / "out"):
        assert {"shelf.py", "seats.py"} <= names(one.path.read_bytes())


def test_rules_that_would_take_a_packages_place_are_refused(target: Target, shop: Path, tmp_path: Path) -> None:
    (shop / "msgspec").mkdir()
    (shop / "msgspec" / "__init__.py").write_text("")
    with pytest.raises(PackagingError, match="the rules bring msgspec"):
        package(str(shop), target, tmp_path / "out")


def test_a_package_that_is_too_large_is_not_written(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_deploy.packaging.functions.FUNCTIONS", (Function("Apply", limit=100_000),))
    with pytest.raises(PackagingError, match=r"may be 0\.1 MB: unpacked, the largest parts are"):
        package(BUILT_IN, target, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_code_for_this_machine_is_made_the_same_way_of_what_is_installed(
    whole_target: Target, tmp_path: Path
) -> None:
    """The two differ in what an index's wheel and an installed package differ in: nothing, but for metadata."""
    here = code_here(BUILT_IN)
    assert here == code_here(BUILT_IN)
    assert set(here) == {one.name for one in FUNCTIONS}
    for one in package(BUILT_IN, whole_target, tmp_path):
        by_uv, of_here = (zipfile.ZipFile(io.BytesIO(code)) for code in (one.path.read_bytes(), here[one.function]))
        modules = {name for name in by_uv.namelist() if ".dist-info/" not in name}
        assert {name for name in of_here.namelist() if ".dist-info/" not in name} == modules
        assert [name for name in modules if by_uv.read(name) != of_here.read(name)] == []


def services(code: bytes) -> set[str]:
    return {name.split("/")[2] for name in names(code) if re.fullmatch(r"botocore/data/\S+/service-2.*", name)}


def test_rules_that_require_boto3_have_all_of_its_services(shop: Path) -> None:
    assert services(code_here("seats")["Apply"]) == set(FUNCTIONS[0].services)
    (shop / "requirements.txt").write_text("boto3\n")
    assert {"sqs", "ec2", *FUNCTIONS[0].services} <= services(code_here("seats")["Apply"])


def test_the_code_for_this_machine_is_tried(shop: Path) -> None:
    (shop / "seats.py").write_text("RULES = 5")
    with pytest.raises(RulesNotFound, match="RULES is no mapping"):
        code_here("seats")


def test_the_commands_of_rules_are_told_but_of_the_built_in_ones(shop: Path) -> None:
    heard: list[Collection[str]] = []
    code_here(BUILT_IN, heard=heard.append)
    assert heard == []
    (shop / "seats.py").write_text("def rule(state, request): pass\nRULES = {'seat.reserve': rule}")
    code_here("seats", heard=heard.append)
    assert heard == [{"seat.reserve"}]
