"""Deploys the stack on the emulator: uploads code, splits the template, runs CloudFormation, resolves names.

Room: local platform, I/O, public AWS APIs only. template.py decides what the emulator gets.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from platform import machine
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from tidemill_deploy.packaging.functions import have_traces
from tidemill_deploy.packaging.packages import code_here
from tidemill_deploy.template import load, parameters
from tidemill_local.template import (
    LocalResource,
    Place,
    allow_statement_calls,
    ask_concurrency,
    declared_outputs,
    reserved_concurrency,
    resolve,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import StackTypeDef
    from types_boto3_s3 import S3Client

STACK = "tidemill"

CODE_KEY = "CodeKey"
"""How the names of the parameters end that say where a function's code lies in the bucket."""

STAGE_CODE = "AnalyticsCodeKey"
"""The one of them that says where the analytics stage's is. It stays empty: Flink is no part of the local platform."""

ARCHITECTURE = "arm64" if machine() in ("arm64", "aarch64") else "x86_64"
"""This machine's, as Lambda names it."""

CREATE_SECONDS = 60
"""Seconds that CloudFormation may take for the stack: a quarter of a second is usual."""


class Clients(Protocol):
    """The target of a deployment: an Emulator, or anything else with boto3 clients."""

    def client(self, service: str) -> Any:
        """The boto3 client of `service`."""


class DeploymentFailed(Exception):
    """CloudFormation failed; the message has its reasons."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack.

    Attributes:
        outputs: the template's outputs.
        local_resources: resources that the emulator does not host and the local platform must run, in the
            template's order.
    """

    outputs: Mapping[str, str]
    local_resources: tuple[LocalResource, ...]


def deploy(
    clients: Clients,
    template: Path,
    given: Mapping[str, str],
    *,
    code: Mapping[str, bytes] | bytes | None = None,
    stack: str = STACK,
) -> Deployment:
    """Create or update the stack, and wait until that is done.

    Args:
        clients: the target.
        template: the template's file. Its parameters CodeBucket, Architecture and those of the code's keys are filled
            in here, and its parameter Rules names the module of rules that goes into the functions' code.
        given: parameter values other than the defaults.
        code: each function's code as a zip, by the function's logical id, or one for all; instead of this project's.
        stack: the stack's name.

    Raises:
        TemplateError: the parameters do not fit the template.
        PackagingError: the functions' code cannot be made of the module of rules, and of what is installed.
        DeploymentFailed: CloudFormation failed.
    """
    document = load(template)
    sts = clients.client("sts")
    place = Place(stack, sts.meta.region_name, sts.get_caller_identity()["Account"])
    # The code's key is its hash, so changed code changes the template's parameters, and CloudFormation updates.
    filled_in = dict.fromkeys((name for name in document["Parameters"] if is_filled_in(name)), "")
    values = parameters(document, {**filled_in, **given})
    if code is None:
        code = code_here(str(values["Rules"]), traces=have_traces(values.get("Traces", "off")))
    values |= {name: value for name, value in _upload(clients, place, code, filled_in).items() if name in values}
    parts = split(ask_concurrency(allow_statement_calls(document)), values, place)
    url = _stored(clients.client("s3"), str(values["CodeBucket"]), json.dumps(parts.template).encode())
    outputs = _create(clients.client("cloudformation"), stack, url, values)
    for function, reserved in reserved_concurrency(outputs).items():
        clients.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=reserved)
    return Deployment(declared_outputs(document, outputs), resolve(parts.resources, outputs))


def is_filled_in(parameter: str) -> bool:
    """Whether the local platform gives a parameter of the template its value."""
    return parameter in ("CodeBucket", "Architecture") or parameter.endswith(CODE_KEY)


def _upload(
    clients: Clients, place: Place, code: Mapping[str, bytes] | bytes, parameters: Iterable[str]
) -> dict[str, str]:
    s3 = clients.client("s3")
    bucket = f"{place.stack}-code-{place.account}-{place.region}"
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # by an earlier deployment
        s3.create_bucket(Bucket=bucket)
    values, bodies = {"CodeBucket": bucket, "Architecture": ARCHITECTURE}, {}
    for parameter in (one for one in parameters if one.endswith(CODE_KEY) and one != STAGE_CODE):
        own = code if isinstance(code, bytes) else code[parameter.removesuffix(CODE_KEY)]
        values[parameter] = f"{hashlib.sha256(own).hexdigest()}.zip"
        bodies[values[parameter]] = own
    for key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    return values


def _stored(s3: S3Client, bucket: str, template: bytes) -> str:
    """Where the template is, in S3: in a call 51,200 bytes are the most."""
    key = f"{hashlib.sha256(template).hexdigest()}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=template)
    return f"{s3.meta.endpoint_url}/{bucket}/{key}"


def _create(
    cloudformation: CloudFormationClient,
    stack: str,
    template_url: str,
    values: Mapping[str, str | int],
) -> dict[str, str]:
    wanted: Any = {
        "StackName": stack,
        "TemplateURL": template_url,
        "Parameters": [{"ParameterKey": name, "ParameterValue": str(value)} for name, value in values.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        if _exists(cloudformation, stack):
            cloudformation.update_stack(**wanted)
        else:
            cloudformation.create_stack(**wanted, OnFailure="DO_NOTHING")
    except ClientError as error:
        message = error.response["Error"]["Message"]
        if message != "No updates are to be performed.":
            raise DeploymentFailed(f"the stack {stack} was refused: {message}") from None
    created = _settled(cloudformation, stack)
    if created["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeploymentFailed(_reasons(cloudformation, stack))
    return {output["OutputKey"]: output["OutputValue"] for output in created.get("Outputs", [])}


def _exists(cloudformation: CloudFormationClient, stack: str) -> bool:
    try:
        cloudformation.describe_stacks(StackName=stack)
    except ClientError:
        return False
    return True


def _settled(cloudformation: CloudFormationClient, stack: str) -> StackTypeDef:
    """The stack's description once it is no longer in progress, or when the time is up."""
    deadline = time.monotonic() + CREATE_SECONDS
    while True:
        described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        if not described["StackStatus"].endswith("_IN_PROGRESS") or time.monotonic() > deadline:
            return described
        time.sleep(0.02)  # the SDK's own waiter counts in whole seconds


def _reasons(cloudformation: CloudFormationClient, stack: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failures = [
        f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in reversed(events)
        if event.get("ResourceStatus", "").endswith("FAILED")
    ]
    said = failures or [f"  nothing failed, but it was not done after {CREATE_SECONDS} seconds"]
    return "\n".join([f"the stack {stack} could not be created:", *said])
