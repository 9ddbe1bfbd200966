"""Indexes of packages that the functions need, made of those that are installed here."""

import platform
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.wheels import lock, repacked
from tidemill_deploy.packaging.wheels import LOCKS, Target

Use: TypeAlias = Callable[[Path], Target]

FEW = ("msgspec", "pybase64", "six")
"""What rules need to be imported, and little more: packages of these are quickly made."""


def index_of(root: Path, names: Iterable[str]) -> Path:
    """A folder with wheels, an empty index, a cache for uv, and a lock of the wheels."""
    if sys.platform != "linux":
        pytest.skip("the packages that are installed here do not run on Linux")
    for name in ("simple", "wheels", "locks"):
        (root / name).mkdir()
    lock(root / "locks" / "signing.lock", [repacked(root / "wheels", name) for name in names])
    return root


@pytest.fixture(scope="session")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_of(tmp_path_factory.mktemp("small"), FEW)


@pytest.fixture(scope="session")
def whole_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = re.findall(r"^([\w.-]+)==", (LOCKS / "signing.lock").read_text(), re.MULTILINE)
    return index_of(tmp_path_factory.mktemp("whole"), names)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Has uv find an index's packages, without a network; gives this machine as their target."""

    def use(index: Path) -> Target:
        monkeypatch.setenv("UV_DEFAULT_INDEX", (index / "simple").as_uri())
        monkeypatch.setenv("UV_FIND_LINKS", str(index / "wheels"))
        monkeypatch.setenv("UV_CACHE_DIR", str(index / "cache"))
        monkeypatch.setattr("tidemill_deploy.packaging.packages.LOCKS", index / "locks")
        machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
        return Target(machine, f"{sys.version_info.major}.{sys.version_info.minor}")

    return use


@pytest.fixture
def target(use: Use, small_index: Path) -> Target:
    return use(small_index)


@pytest.fixture
def whole_target(use: Use, whole_index: Path) -> Target:
    return use(whole_index)
