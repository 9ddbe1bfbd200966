"""What is installed here, as a package for this machine takes it."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.installed import installed


class Site:
    """A folder of installed packages that this test makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, version: str = "1.0", requires: Iterable[str] = (), extras: Iterable[str] = ()) -> None:
        info = self.folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
        lines += [f"Provides-Extra: {one}" for one in extras]
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        (self.folder / f"{name}.py").write_text("")
        (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n../../bin/{name},,\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.syspath_prepend(tmp_path / "site")
    return Site(tmp_path / "site")


def brought(tmp_path: Path, requirements: str) -> set[str]:
    """The modules beyond those of the functions themselves."""
    file = tmp_path / "requirements.txt"
    file.write_text(requirements)
    return {name for name in set(installed("signing", file)) - set(installed("signing", None)) if "/" not in name}


def test_the_functions_have_what_they_need_and_nothing_else_that_is_installed() -> None:
    found = installed("signing", None)
    tops = {name.partition("/")[0] for name in found}
    assert {"boto3", "botocore", "msgspec", "pybase64", "cryptography"} <= tops
    assert not {"pytest", "ministack", "PIL", "pandas", "tidemill"} & tops
    assert all(path.is_file() for path in found.values())
    assert not [name for name in found if name.endswith(("/RECORD", ".pyc"))]


def test_a_requirement_brings_its_own_at_any_remove(tmp_path: Path, site: Site) -> None:
    site.add("shelf", requires=["books>=3", "windows-only; sys_platform == 'win32'", "paint; extra == 'colour'"])
    site.add("books", "3.1", requires=["paper", "shelf"])
    site.add("paper")
    site.add("paint")
    assert brought(tmp_path, "shelf") == {"shelf.py", "books.py", "paper.py"}
    assert brought(tmp_path, "shelf[colour]") == {"shelf.py", "books.py", "paper.py", "paint.py"}


def test_the_file_may_have_comments_options_hashes_and_further_files(tmp_path: Path, site: Site) -> None:
    site.add("shelf")
    site.add("lamp", requires=["tidemill"])
    (tmp_path / "more.txt").write_text("lamp\n")
    text = """
# what the rules need
--index-url https://example.com/simple
tidemill[local]
shelf==1.0 \\
    --hash=sha256:00
other-system; sys_platform == "none"  # not here
-r more.txt
"""
    assert brought(tmp_path, text) == {"shelf.py", "lamp.py"}


@pytest.mark.parametrize(
    ("requirements", "told"),
    [
        ("nothing-of-that-name", r"need nothing-of-that-name, which is not installed here; .*pip install -r .*\.txt"),
        ("shelf>=2", r"need shelf>=2, and 1\.0 is installed here"),
        ("boto3<1", r"need boto3<1, and"),
        ("./wheels/x.whl", r"requirements\.txt has './wheels/x\.whl'"),
    ],
)
def test_a_requirement_that_is_not_installed_is_named(tmp_path: Path, site: Site, requirements: str, told: str) -> None:
    site.add("shelf")
    with pytest.raises(PackagingError, match=told):
        brought(tmp_path, requirements)


def test_a_package_without_a_list_of_its_files_is_named(tmp_path: Path, site: Site) -> None:
    site.add("shelf")
    (tmp_path / "site" / "shelf-1.0.dist-info" / "RECORD").unlink()
    with pytest.raises(PackagingError, match="shelf is installed without a list of its files"):
        brought(tmp_path, "shelf")


def test_a_further_file_is_named_in_each_way_that_pip_allows(tmp_path: Path, site: Site) -> None:
    for name in ("one", "two", "three", "four"):
        site.add(name)
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    text = "-r one.txt\n-rtwo.txt\n--requirement three.txt\n--requirement=four.txt\n"
    assert brought(tmp_path, text) == {"one.py", "two.py", "three.py", "four.py"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (b"-r requirements.txt\n", r"requirements\.txt names itself"),
        (b"-r missing.txt\n", r"missing\.txt cannot be read: No such file"),
        (b"\xff\xfe", r"more\.txt cannot be read: .*utf-8"),
    ],
)
def test_a_further_file_that_cannot_be_read_is_named(tmp_path: Path, more: bytes, told: str) -> None:
    (tmp_path / "more.txt").write_bytes(more)
    with pytest.raises(PackagingError, match=told):
        brought(tmp_path, "-r more.txt\n")
