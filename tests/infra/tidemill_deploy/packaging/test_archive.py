"""The zip of a package: its bytes, its sizes, its description."""

import io
import zipfile
from pathlib import Path

import pytest

from tidemill_deploy.packaging.archive import Package, code_keys, described, megabytes, zipped
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.functions import Function

FILES = {"b/c.py": b"c" * 1000, "a.py": b"a", "b/__init__.py": b""}


def test_the_same_files_are_the_same_bytes_in_whatever_order_they_come() -> None:
    assert zipped(FILES) == zipped(dict(reversed(FILES.items())))
    assert zipped(FILES) != zipped({**FILES, "a.py": b"A"})


@pytest.mark.parametrize("compressed", [True, False])
def test_the_files_have_one_time_and_may_be_read_by_all(compressed: bool) -> None:
    archive = zipfile.ZipFile(io.BytesIO(zipped(FILES, compressed=compressed)))
    assert archive.namelist() == sorted(FILES)
    assert {one.date_time for one in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert {oct(one.external_attr >> 16) for one in archive.infolist()} == {"0o100644"}
    assert {name: archive.read(name) for name in FILES} == FILES


def test_a_package_is_described_by_its_hash_and_sizes() -> None:
    code = zipped(FILES)
    found = described(Function("Apply"), Path("apply.zip"), code, FILES)
    assert (found.function, found.path, found.zipped, found.unpacked) == ("Apply", Path("apply.zip"), len(code), 1001)
    assert described(Function("Apply"), Path("elsewhere.zip"), code, FILES).sha256 == found.sha256
    assert found.key == f"{found.sha256}.zip"


def test_each_functions_code_has_a_parameter_of_the_template() -> None:
    found = [Package(name, Path(), digit * 64, 1, 1) for name, digit in (("Apply", "0"), ("Direct", "1"))]
    assert code_keys(found) == {"ApplyCodeKey": f"{'0' * 64}.zip", "DirectCodeKey": f"{'1' * 64}.zip"}


def test_a_package_that_is_too_large_names_its_largest_parts() -> None:
    small = Function("Apply", limit=500)
    with pytest.raises(PackagingError, match=r"Apply would be 0\.0 MB zipped, .* b \(0\.0 MB\), a\.py \(0\.0 MB\)"):
        described(small, Path(), b"z" * 501, FILES)
    assert described(small, Path(), b"z" * 500, FILES).zipped == 500


def test_a_package_may_be_as_large_as_lambda_lets_it_be_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_deploy.packaging.archive.UNPACKED_LIMIT", 1000)
    with pytest.raises(PackagingError, match="unpacked, and may be"):
        described(Function("Apply"), Path(), b"", FILES)


def test_sizes_are_told_in_megabytes() -> None:
    assert megabytes(22_149_000) == "22.1 MB"
