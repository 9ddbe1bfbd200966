"""What uv gets for another machine, from an index that this test makes; and what is said of what it cannot get."""

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.wheels import lock, wheel
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.wheels import Target, installed, uv

ARM = Target("arm64", "3.14")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that uv finds."""
    folder = tmp_path / "index"
    folder.mkdir()
    (tmp_path / "simple").mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "simple").as_uri())  # it holds nothing
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def got(tmp_path: Path, locked: Path, requirements: str = "", target: Target | None = ARM) -> dict[str, bytes]:
    folder = tmp_path / "installed"
    folder.mkdir()
    file = None
    if requirements:
        file = tmp_path / "requirements.txt"
        file.write_text(requirements)
    return {name: path.read_bytes() for name, path in installed(locked, file, target, folder).items()}


def test_the_wheel_is_that_of_the_platform_and_the_python(tmp_path: Path, index: Path) -> None:
    tags = {
        "arm": "cp314-cp314-manylinux_2_28_aarch64",
        "older": "cp313-cp313-manylinux_2_28_aarch64",
        "intel": "cp314-cp314-manylinux2014_x86_64",
    }
    wheels = [wheel(index, "fast", "1.0", {"fast.py": name.encode()}, tag) for name, tag in tags.items()]
    locked = lock(tmp_path / "a.lock", wheels[:1])
    locked.write_text(
        locked.read_text().strip()
        + "".join(
            f" --hash={line.split('--hash=')[1]}"
            for one in wheels[1:]
            for line in lock(tmp_path / "b", [one]).read_text().splitlines()
        )
    )
    found = got(tmp_path, locked)
    assert found["fast.py"] == b"arm"
    assert set(found) == {"fast.py", "fast-1.0.dist-info/METADATA", "fast-1.0.dist-info/WHEEL"}


def test_what_the_rules_require_comes_with_what_it_requires(tmp_path: Path, index: Path) -> None:
    locked = lock(tmp_path / "a.lock", [wheel(index, "base", "1.0", {"base.py": b""})])
    metadata = b"Metadata-Version: 2.1\nName: shelf\nVersion: 2.0\nRequires-Dist: books>=3\n"
    wheel(index, "shelf", "2.0", {"shelf.py": b"", "shelf-2.0.dist-info/METADATA": metadata})
    wheel(index, "books", "3.1", {"books.py": b""})
    found = got(tmp_path, locked, "tidemill[local]\nshelf  # for rules\n")
    assert {"base.py", "shelf.py", "books.py"} <= set(found)


def test_a_requirement_without_a_wheel_for_the_platform_is_named(tmp_path: Path, index: Path) -> None:
    locked = lock(tmp_path / "a.lock", [wheel(index, "base", "1.0", {"base.py": b""})])
    wheel(index, "native", "1.0", {"native.py": b""}, "cp314-cp314-macosx_11_0_arm64")
    with pytest.raises(
        PackagingError, match=r"requirements\.txt need cannot be had for Python 3\.14 on arm64: .*native"
    ):
        got(tmp_path, locked, "native\n")


def test_a_requirement_that_would_have_to_be_built_is_named(tmp_path: Path, index: Path) -> None:
    locked = lock(tmp_path / "a.lock", [wheel(index, "base", "1.0", {"base.py": b""})])
    with tarfile.open(index / "sourced-1.0.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("sourced-1.0/PKG-INFO")
        text = b"Metadata-Version: 2.1\nName: sourced\nVersion: 1.0\n"
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    with pytest.raises(PackagingError, match="sourced"):
        got(tmp_path, locked, "sourced\n")


def test_a_requirement_that_does_not_go_with_ours_is_named(tmp_path: Path, index: Path) -> None:
    locked = lock(tmp_path / "a.lock", [wheel(index, "base", "1.0", {"base.py": b""})])
    with pytest.raises(PackagingError, match=r"base>=2"):
        got(tmp_path, locked, "base>=2\n")


@pytest.mark.parametrize("requirements", ["", "other\n"])
def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path: Path, index: Path, requirements: str) -> None:
    locked = lock(tmp_path / "a.lock", [wheel(index, "base", "1.0", {"base.py": b""})])
    wheel(index, "other", "1.0", {"other.py": b""})
    wheel(index, "base", "1.0", {"base.py": b"import evil"})
    with pytest.raises(PackagingError, match=r"[Hh]ash mismatch for `base"):
        got(tmp_path, locked, requirements)


def test_an_index_that_cannot_be_reached_is_told_from_a_package_that_is_not_there(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = lock(tmp_path / "a.lock", [wheel(tmp_path, "base", "1.0", {"base.py": b""})])
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(PackagingError, match="the index of packages cannot be reached"):
        got(tmp_path, locked)


def test_for_this_machine_it_may_be_built(tmp_path: Path, index: Path) -> None:
    locked = lock(tmp_path / "a.lock", [wheel(index, "base", "1.0", {"base.py": b"here"})])
    assert got(tmp_path, locked, target=None)["base.py"] == b"here"


def test_without_uv_it_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(uv()).exists()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PackagingError, match=r"pip install 'tidemill\[deploy\]'"):
        uv()
