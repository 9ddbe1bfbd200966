"""One stack for all tests of this folder, and a function that tells what it sees.

The stack is the project's own template; only its function's code is replaced.
"""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from tidemill_deploy.template import template_path
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import Emulator

PROBE = """
import json, os, sys, threading
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    if "print" in event:
        print(event["print"])
        sys.stderr.write(event["print"])
    if "wait" in event:
        threading.Event().wait(event["wait"])
    if "call" in event:
        service, operation, arguments = event["call"]
        try:
            getattr(boto3.client(service), operation)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "allowed"
    return {"pid": os.getpid(), "environment": dict(os.environ), "folder": os.getcwd()}
"""

Invoke: TypeAlias = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="session")
def probe_code() -> bytes:
    """The code of a function that makes the call it is told, or tells its process and environment."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tidemill_consumers/__init__.py", "")
        for name in ("apply", "sweep"):
            archive.writestr(f"tidemill_consumers/{name}.py", PROBE)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def deployment(emulator: Emulator, probe_code: bytes) -> Deployment:
    """The project's stack with the probe as its function."""
    given = {"ShardCount": "1", "ApplicationSecret": "s" * 43}
    return deploy(emulator, template_path(), given, code=probe_code, stack="probe")


@pytest.fixture(scope="session")
def invoke(emulator: Emulator, deployment: Deployment) -> Invoke:
    """Invokes the probe as the apply function."""
    return invoking(emulator, deployment.outputs["ApplyFunctionName"])


def invoking(emulator: Emulator, function: str) -> Invoke:
    """Invokes the probe as a function, under its role."""

    def call(event: dict[str, Any]) -> Any:
        answer = emulator.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        return json.load(answer["Payload"])

    return call
