"""A function's package, alone: AWS's own client of the Runtime API starts it where nothing else is installed.

The functions are custom runtimes here, whose bootstrap runs awslambdaric from a folder of its own, in a Python that
knows neither its installed packages nor the user's environment (`-I -S`).
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tidemill import Producer
from tidemill.contract.request import Request, encode
from tidemill_deploy.packaging.application import BUILT_IN
from tidemill_deploy.packaging.packages import code_here
from tidemill_deploy.template import load, python_version, template_path
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import Emulator
from tidemill_local.event_sources import EventSources

Becomes = Callable[[Callable[[], bool]], bool]

BOOTSTRAP = """#!/bin/sh
# Where AWS is, which the emulator tells no custom runtime.
export AWS_ENDPOINT_URL={endpoint} AWS_DISABLE_HOST_PREFIX_INJECTION=true
exec {python} -I -S -c "
import os, sys
sys.path[:0] = [os.environ['LAMBDA_TASK_ROOT'], {runtime!r}]
from awslambdaric.__main__ import main
main(['', os.environ['_HANDLER']])"
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with awslambdaric and what it requires."""
    folder = tmp_path_factory.mktemp("runtime")
    try:
        found = [distribution(name) for name in ("awslambdaric", "simplejson", "snapshot-restore-py")]
    except PackageNotFoundError:
        pytest.skip("awslambdaric has wheels for Linux only")
    for one in found:
        for file in one.files or ():
            if ".." not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(Path(str(one.locate_file(file))).read_bytes())
    return folder


def started_by_awslambdaric(code: bytes, runtime: Path, endpoint: str, python: str = sys.executable) -> bytes:
    """The package with a bootstrap added."""
    packed = io.BytesIO(code)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("bootstrap", BOOTSTRAP.format(python=python, runtime=str(runtime), endpoint=endpoint))
    return packed.getvalue()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Iterator[tuple[Emulator, Deployment]]:
    folder = tmp_path_factory.mktemp("platform")
    text = template_path().read_text()
    template = folder / "template.yaml"
    template.write_text(text.replace(f"python{python_version(load(template_path()))}", "provided.al2023"))
    with Emulator(port=0) as emulator:
        url = emulator.endpoint_url
        code = {name: started_by_awslambdaric(one, runtime, url) for name, one in code_here(BUILT_IN).items()}
        given = {"DirectEndpoint": "on", "BatchingWindowSeconds": "1"}
        deployment = deploy(emulator, template, given, code=code, stack="packaged")
        sources = EventSources(emulator, folder, lambda _: None)
        sources.start()
        try:
            yield emulator, deployment
        finally:
            sources.stop()


def views(emulator: Emulator, deployment: Deployment, key: str) -> int | None:
    """How often a content was viewed, as the table has it."""
    stored = emulator.client("dynamodb").get_item(TableName=deployment.outputs["TableName"], Key={"pk": {"S": key}})
    return int(stored["Item"]["doc"]["M"]["views"]["N"]) if "Item" in stored else None


def test_the_apply_function_starts_from_its_package_alone_and_applies_a_batch(
    platform: tuple[Emulator, Deployment], becomes: Becomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator, deployment = platform
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    with Producer(deployment.outputs["StreamName"], client="ada", check=False) as producer:
        for _ in range(3):
            producer.send("content.view", key="content/1", data={})
    assert becomes(lambda: views(emulator, deployment, "content/1") == 3)


def test_the_direct_function_starts_from_its_package_alone_and_applies_a_request(
    platform: tuple[Emulator, Deployment],
) -> None:
    emulator, deployment = platform
    request = Request(id="r1", cmd="content.view", key="content/2", client="ada", writer="w", counter=1, data={})
    event = {"requestContext": {"timeEpoch": 1_764_000_000_000}, "body": encode(request).decode()}
    answer = emulator.client("lambda").invoke(
        FunctionName=deployment.outputs["DirectFunctionName"], Payload=json.dumps(event)
    )
    response = json.load(answer["Payload"])
    assert (response["statusCode"], json.loads(response["body"])) == (200, {"id": "r1", "status": "accepted"})
    assert views(emulator, deployment, "content/2") == 1


def test_a_package_that_lacks_what_its_function_needs_does_not_start(
    platform: tuple[Emulator, Deployment], runtime: Path
) -> None:
    """What is installed here does not come to its help."""
    emulator, deployment = platform
    whole, lacking = zipfile.ZipFile(io.BytesIO(code_here(BUILT_IN)["Direct"])), io.BytesIO()
    with zipfile.ZipFile(lacking, "w") as archive:
        for name in whole.namelist():
            if not name.startswith("msgspec/"):
                archive.writestr(name, whole.read(name))
    code = started_by_awslambdaric(lacking.getvalue(), runtime, emulator.endpoint_url)
    functions, name = emulator.client("lambda"), "lacking"
    role = functions.get_function_configuration(FunctionName=deployment.outputs["DirectFunctionName"])["Role"]
    functions.create_function(
        FunctionName=name,
        Role=role,
        Runtime="provided.al2023",
        Handler="tidemill_consumers.direct.handler",
        Code={"ZipFile": code},
    )
    try:
        answer = functions.invoke(FunctionName=name, Payload="{}")
        assert "No module named 'msgspec'" in answer["Payload"].read().decode()
    finally:
        functions.delete_function(FunctionName=name)
