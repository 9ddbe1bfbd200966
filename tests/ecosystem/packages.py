"""The functions' packages as users make them, of what the index has. Run by `make package-check`.

Those for x86-64 are started on this machine, with each Python that it has; the template's is installed for this if uv
can get it. Those for arm64 are looked over.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tests.collecting import Collector
from tests.starting import Runtime, started
from tests.tree import ROOT
from tidemill_deploy.packaging import Package, Target, package
from tidemill_deploy.packaging.application import BUILT_IN
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.wheels import uv
from tidemill_deploy.template import load, python_version, template_path

pytestmark = pytest.mark.timeout(900)
Becomes = Callable[[Callable[[], bool]], bool]

TEMPLATES = python_version(load(template_path()))
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({"3.12", "3.13", RUNNING, TEMPLATES}, key=lambda version: int(version.split(".")[1]))
MACHINES = {"arm64": 0xB7, "x86_64": 0x3E}
"""A processor's number in a library's header, e_machine of ELF."""


def made(architecture: str, python: str, out: Path, *, traces: bool = False) -> list[Package]:
    try:
        return package(BUILT_IN, Target(architecture, python), out, traces=traces)
    except PackagingError as error:
        if "cannot be reached" in str(error):
            pytest.skip(str(error)[:200])
        raise


@pytest.mark.parametrize("architecture", MACHINES)
def test_the_packages_for_lambda_are_made_and_their_libraries_are_for_its_processor(
    tmp_path: Path, architecture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = made(architecture, TEMPLATES, tmp_path / "first")
    assert [one.sha256 for one in made(architecture, TEMPLATES, tmp_path / "second")] == [one.sha256 for one in first]
    for one in first:
        archive = zipfile.ZipFile(one.path)
        libraries = {name: archive.read(name) for name in archive.namelist() if name.endswith(".so")}
        needed = {"msgspec", "pybase64", "PIL" if one.function == "Media" else "cryptography"}
        assert {name.partition("/")[0] for name in libraries} >= needed
        assert {int.from_bytes(text[18:20], "little") for text in libraries.values()} == {MACHINES[architecture]}
        wanted = f".cpython-{TEMPLATES.replace('.', '')}-"
        assert [name for name in libraries if wanted not in name and ".abi3." not in name] == []
    with capsys.disabled():
        functions = " and ".join(one.function for one in first)
        print(f"\n{functions} for Python {TEMPLATES} on {architecture}, {first[0].zipped:,} bytes each, are made of:")
        print(*wheels_of(zipfile.ZipFile(first[0].path)), sep="\n")


def wheels_of(archive: zipfile.ZipFile) -> list[str]:
    """The wheels that a package was made of."""
    named = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
    tags = {name: re.findall(r"^Tag: (.*)$", archive.read(name).decode(), re.MULTILINE) for name in named}
    return [f"{name.partition('.dist-info')[0]} {', '.join(found)}" for name, found in tags.items()]


@pytest.mark.parametrize("version", PYTHONS)
def test_the_packages_start_and_apply_what_comes(tmp_path: Path, version: str, becomes: Becomes) -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("this machine does not run what is made for Linux on x86-64")
    runtime = Runtime(interpreter(version), awslambdaric(version, tmp_path / "runtime"))
    code = {one.function: one.path.read_bytes() for one in made("x86_64", version, tmp_path / "out")}
    with started(code, runtime, tmp_path) as stack:
        stack.send("content/1", 3)
        assert stack.call("content/2") == (200, {"id": "r1", "status": "accepted"})
        assert becomes(lambda: stack.views("content/1") == 3)


def test_the_packages_with_traces_send_spans(tmp_path: Path, becomes: Becomes) -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("this machine does not run what is made for Linux on x86-64")
    runtime = Runtime(sys.executable, awslambdaric(RUNNING, tmp_path / "runtime"))
    packages = made("x86_64", RUNNING, tmp_path / "out", traces=True)
    code = {one.function: one.path.read_bytes() for one in packages}
    with Collector() as collector, started(code, runtime, tmp_path, {"Traces": collector.url}) as stack:
        stack.send("content/1", 1, tracer=TracerProvider().get_tracer("shop"))
        assert becomes(lambda: stack.views("content/1") == 1)
        assert becomes(lambda: len(collector.spans()) == 3)
    assert {one.name.partition(" ")[0] for one in collector.spans()} == {"wait", "apply", "reply"}


def interpreter(version: str) -> str:
    """The Python of a version, which uv installs if it is the template's."""
    if version == RUNNING:
        return sys.executable
    if version == TEMPLATES:
        subprocess.run([uv(), "python", "install", "--quiet", version], check=False, timeout=300)
    found = subprocess.run(
        [uv(), "python", "find", "--no-project", "--no-python-downloads", f"cpython@{version}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        what = "; it is the template's, whose packages are made here and not started" if version == TEMPLATES else ""
        pytest.skip(f"no Python {version} on this machine{what}")
    return found.stdout.strip()


def awslambdaric(version: str, folder: Path) -> Path:
    """AWS's client of the Runtime API, in the version that is locked."""
    pinned = re.search(r"^awslambdaric==[\d.]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert pinned
    command = [uv(), "pip", "install", "--quiet", "--target", str(folder), "--python", sys.executable]
    target = ["--python-version", version, "--python-platform", Target("x86_64", version).platform]
    done = subprocess.run([*command, *target, pinned[0]], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"awslambdaric cannot be had for Python {version}: {done.stderr[-200:]}")
    return folder
