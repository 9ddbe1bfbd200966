"""What the ecosystem's tests need: packages of other registries, below build/ecosystem, and skipped without them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from tidemill_local.emulator import Emulator

HERE = Path(__file__).parent
NODE, BROWSER = HERE / "node", HERE / "browser"
"""Their locks: `npm install --package-lock-only --omit-lockfile-registry-resolved`, so that no registry is named."""

PACKAGES = ("package.json", "package-lock.json")
BUILD = HERE.parents[1] / "build" / "ecosystem"
INSTALL_SECONDS = 400
NPM = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=2"]
NPM += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]  # else it tries for minutes what is refused
FETCH = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
MOTO = "moto[server]==5.2.5"


def install(folder: Path, files: list[Path], *commands: list[str], build: Sequence[str] = ()) -> Path:
    """The folder with these packages in it, installed once.

    It skips where the tool or a package cannot be had, and fails where what is made of them cannot be built.
    """
    done, made_of = folder / ".done", sha256(repr((commands, build)).encode())
    for file in files:
        made_of.update(file.read_bytes())
    if done.exists() and done.read_text() == made_of.hexdigest():
        return folder
    shutil.rmtree(folder, ignore_errors=True)  # what is no longer asked for would still be found in it
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)
    for command in commands:
        if not shutil.which(command[0]):
            pytest.skip(f"there is no {command[0]}")
        try:
            made = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{' '.join(command[:2])} took more than {INSTALL_SECONDS} s")
        assert "EUSAGE" not in made.stderr, "package.json and its lock do not agree"
        if made.returncode:
            pytest.skip(f"{' '.join(command[:2])} failed: {(made.stderr or made.stdout).strip()[-200:]}")
    if build:
        subprocess.run(build, cwd=folder, timeout=INSTALL_SECONDS, check=True)
    done.write_text(made_of.hexdigest())
    return folder


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder with the scripts for Node and their packages."""
    folder = BUILD / "node"
    install(folder, [NODE / name for name in PACKAGES], NPM)
    for script in NODE.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Path:
    """A folder with the app for browsers as one script, `bundle.js`."""
    files = [BROWSER / name for name in (*PACKAGES, "app.js")]
    bundle = ["npx", "--no-install", "esbuild", "app.js", "--bundle", "--format=esm", "--outfile=bundle.js"]
    return install(BUILD / "browser", files, NPM, build=bundle)


@pytest.fixture(scope="session")
def java() -> Path:
    """A folder with the compiled program for Java and its packages."""
    files = [HERE / "java" / "pom.xml", HERE / "java" / "Wire.java"]
    return install(BUILD / "java", files, FETCH, build=["javac", "-nowarn", "-cp", "lib/*", "Wire.java"])


@pytest.fixture(scope="session")
def libraries() -> Path:
    """A folder with the compiled programs for the KPL and the KCL, and their packages."""
    programs = ["Consume.java", "Produce.java"]
    files = [HERE / "libraries" / name for name in ("pom.xml", *programs)]
    return install(BUILD / "libraries", files, FETCH, build=["javac", "-nowarn", "-cp", "lib/*", *programs])


@pytest.fixture(scope="session")
def moto() -> Path:
    """moto's server, in an environment of its own: its packages exclude the emulator's."""
    uv = str(Path(sys.executable).with_name("uv"))
    folder = install(
        BUILD / "moto", [], [uv, "venv", "-q", "env"], [uv, "pip", "install", "-q", "--python", "env/bin/python", MOTO]
    )
    return folder / "env" / "bin" / "moto_server"


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator(port=0) as running:
        yield running


@pytest.fixture
def becomes() -> Callable[..., bool]:
    """Whether something comes true in so many seconds."""

    def wait(condition: Callable[[], bool], seconds: float = 20) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    return wait
