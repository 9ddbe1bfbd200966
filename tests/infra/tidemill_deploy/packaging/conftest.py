"""Indexes of packages that the functions need, made of those that are installed here."""

import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.wheels import lock, repacked
from tidemill_deploy.packaging.functions import FUNCTIONS
from tidemill_deploy.packaging.wheels import LOCKS, Target

Use: TypeAlias = Callable[[Path], Target]

EXTRAS = sorted({one.extra for one in FUNCTIONS})

FEW = ("msgspec", "pybase64", "six")
"""What rules need to be imported, and little more: packages of these are quickly made."""


def index_of(root: Path, names_of: Mapping[str, Iterable[str]]) -> Path:
    """A folder with wheels, an empty index, a cache for uv, and for each extra a lock of its packages' wheels."""
    if sys.platform != "linux":
        pytest.skip("the packages that are installed here do not run on Linux")
    for name in ("simple", "wheels", "locks"):
        (root / name).mkdir()
    wheels = {name: repacked(root / "wheels", name) for names in names_of.values() for name in names}
    for extra, names in names_of.items():
        lock(root / "locks" / f"{extra}.lock", [wheels[name] for name in names])
    return root


@pytest.fixture(scope="session")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return index_of(tmp_path_factory.mktemp("small"), dict.fromkeys(EXTRAS, FEW))


@pytest.fixture(scope="session")
def whole_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pins = {extra: (LOCKS / f"{extra}.lock").read_text() for extra in EXTRAS}
    names = {extra: re.findall(r"^([\w.-]+)==", text, re.MULTILINE) for extra, text in pins.items()}
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
