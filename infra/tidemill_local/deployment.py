"""Deploys the stack on the emulator: uploads code, splits the template, runs CloudFormation, resolves names.

Room: local platform, I/O, public AWS APIs only. template.py decides what the emulator gets.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from tidemill_local import function_code
from tidemill_local.template import (
    LocalResource,
    Place,
    allow_statement_calls,
    ask_concurrency,
    declared_outputs,
    load,
    parameters,
    reserved_concurrency,
    resolve,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import StackTypeDef

STACK = "tidemill"

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
    code: bytes | None = None,
    stack: str = STACK,
) -> Deployment:
    """Create or update the stack, and wait until that is done.

    Args:
        clients: the target.
        template: the template's file. Its parameters CodeBucket and CodeKey are filled in here, and its
            parameter Rules names the module of rules that goes into the functions' code.
        given: parameter values other than the defaults.
        code: the functions' code as a zip, instead of this project's.
        stack: the stack's name.

    Raises:
        TemplateError: the parameters do not fit the template.
        RulesNotFound: the module of rules does not exist, or does not load.
        DeploymentFailed: CloudFormation failed.
    """
    document = load(template)
    sts = clients.client("sts")
    place = Place(stack, sts.meta.region_name, sts.get_caller_identity()["Account"])
    # The code's key is its hash, so changed code changes the template's parameters, and CloudFormation updates.
    values = parameters(document, {"CodeBucket": "", "CodeKey": "", **given})
    if not code:
        code = function_code.tried(str(values["Rules"]))
    values |= _upload(clients, place, code)
    parts = split(ask_concurrency(allow_statement_calls(document)), values, place)
    outputs = _create(clients.client("cloudformation"), stack, parts.template, values)
    for function, reserved in reserved_concurrency(outputs).items():
        clients.client("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=reserved)
    return Deployment(declared_outputs(document, outputs), resolve(parts.resources, outputs))


def _upload(clients: Clients, place: Place, code: bytes) -> dict[str, str]:
    s3 = clients.client("s3")
    bucket = f"{place.stack}-code-{place.account}-{place.region}"
    key = f"{hashlib.sha256(code).hexdigest()}.zip"
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # by an earlier deployment
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=code)
    return {"CodeBucket": bucket, "CodeKey": key}


def _create(
    cloudformation: CloudFormationClient,
    stack: str,
    template: Mapping[str, Any],
    values: Mapping[str, str | int],
) -> dict[str, str]:
    wanted: Any = {
        "StackName": stack,
        "TemplateBody": json.dumps(template),
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
