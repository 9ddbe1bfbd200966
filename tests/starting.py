"""Functions' packages, started alone: AWS's own client of the Runtime API runs them, where nothing else is installed.

The functions are custom runtimes of the emulator, whose bootstrap runs awslambdaric from a folder of its own, in a
Python that knows neither installed packages nor the user's environment (`-I -S`).
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import boto3
import pytest
from opentelemetry.trace import Tracer

from tidemill import Producer
from tidemill.contract.request import Request, encode
from tidemill_deploy.template import load, python_version, template_path
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import Emulator
from tidemill_local.event_sources import EventSources

BOOTSTRAP = """#!/bin/sh
# Where AWS is, which the emulator tells no custom runtime.
export AWS_ENDPOINT_URL={endpoint} AWS_DISABLE_HOST_PREFIX_INJECTION=true
exec {python} -I -S -c "
import os, sys
sys.path[:0] = [os.environ['LAMBDA_TASK_ROOT'], {runtime!r}]
from awslambdaric.__main__ import main
main(['', os.environ['_HANDLER']])"
"""


@dataclass(frozen=True)
class Runtime:
    """A Python, and the folder that holds awslambdaric for it."""

    python: str
    folder: Path

    def starting(self, code: bytes, endpoint: str) -> bytes:
        """The package with a bootstrap added."""
        packed = io.BytesIO(code)
        with zipfile.ZipFile(packed, "a") as archive:
            text = BOOTSTRAP.format(python=self.python, runtime=str(self.folder), endpoint=endpoint)
            archive.writestr("bootstrap", text)
        return packed.getvalue()


def runtime_here(folder: Path) -> Runtime:
    """This Python, with awslambdaric and what it requires as they are installed here."""
    try:
        found = [distribution(name) for name in ("awslambdaric", "simplejson", "snapshot-restore-py")]
    except PackageNotFoundError:
        pytest.skip("awslambdaric has wheels for Linux only")
    for one in found:
        for file in one.files or ():
            if ".." not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                (folder / file).write_bytes(Path(str(one.locate_file(file))).read_bytes())
    return Runtime(sys.executable, folder)


class Started:
    """A stack whose functions are started by awslambdaric."""

    def __init__(self, emulator: Emulator, deployment: Deployment) -> None:
        self.emulator = emulator
        self._outputs = deployment.outputs

    @property
    def role(self) -> str:
        """The direct function's."""
        name = self._outputs["DirectFunctionName"]
        found: str = self.emulator.client("lambda").get_function_configuration(FunctionName=name)["Role"]
        return found

    def send(self, key: str, count: int, tracer: Tracer | None = None) -> None:
        """Put requests on the stream."""
        with Producer(self._outputs["StreamName"], client="ada", check=False, tracer=tracer) as producer:
            for _ in range(count):
                producer.send("content.view", key=key, data={})

    def call(self, key: str) -> tuple[int, object]:
        """What the direct function answers to a request: status and body."""
        request = Request(id="r1", cmd="content.view", key=key, client="ada", writer="w", counter=1, data={})
        event = {"requestContext": {"timeEpoch": 1_764_000_000_000}, "body": encode(request).decode()}
        answer = self.emulator.client("lambda").invoke(
            FunctionName=self._outputs["DirectFunctionName"], Payload=json.dumps(event)
        )
        response = json.load(answer["Payload"])
        return response["statusCode"], json.loads(response["body"])

    def views(self, key: str) -> int | None:
        """How often a content was viewed, as the table has it."""
        stored = self.emulator.client("dynamodb").get_item(TableName=self._outputs["TableName"], Key={"pk": {"S": key}})
        return int(stored["Item"]["doc"]["M"]["views"]["N"]) if "Item" in stored else None


@contextmanager
def started(
    code: Mapping[str, bytes], runtime: Runtime, folder: Path, parameters: Mapping[str, str] | None = None
) -> Iterator[Started]:
    """The project's stack with these packages, and the event source mapping that invokes apply.

    Args:
        code: each function's package, by the function's name.
        runtime: what starts them.
        folder: for the template and checkpoints.
        parameters: further ones of the template.
    """
    template = folder / "template.yaml"
    text = template_path().read_text()
    template.write_text(text.replace(f"python{python_version(load(template_path()))}", "provided.al2023"))
    with Emulator(port=0) as emulator, pytest.MonkeyPatch.context() as patched:
        for name, value in emulator.environment.items():
            patched.setenv(name, value)
        patched.setattr(boto3, "DEFAULT_SESSION", None)  # it may have found other credentials before
        packed = {name: runtime.starting(one, emulator.endpoint_url) for name, one in code.items()}
        given = {"DirectEndpoint": "on", "BatchingWindowSeconds": "1", **(parameters or {})}
        deployment = deploy(emulator, template, given, code=packed, stack="packaged")
        sources = EventSources(emulator, folder, lambda _: None)
        sources.start()
        try:
            yield Started(emulator, deployment)
        finally:
            sources.stop()
