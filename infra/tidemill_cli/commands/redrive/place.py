"""Where the quarantine of `tidemill redrive` is: its bucket, the stream it goes back to, and the application's secret.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_redrive.py.
"""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from dataclasses import dataclass

from botocore.config import Config

from tidemill.contract.signature import stream_name
from tidemill_cli.errors import CommandError
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, Access, NoStack, access, outputs, outputs_or_remedy
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.operations.redrive import Objects


@dataclass(frozen=True, slots=True)
class Place:
    """Where a quarantine is.

    Attributes:
        access: to AWS.
        bucket: its name.
        stream: the name of the stream that requests go back to; empty where nothing needs it.
        objects: of the bucket.
    """

    access: Access
    bucket: str
    stream: str
    objects: Objects


def place_of(args: argparse.Namespace) -> Place:
    """The place that the arguments name, or that of a stack.

    Raises:
        CommandError: there is no such stack, it lacks an output, or its secret is none.
        Misconfigured: nothing says where AWS is, or who asks.
    """
    named = args.stack or _is_named(args)
    where = access(None if named else LOCAL_ENDPOINT, args.stream or "")
    bucket, stream = _names(args, where)
    config = Config(max_pool_connections=32, retries={"mode": "standard"})
    objects = Objects(where.client("s3", config), bucket, seals=_seals(args, where, stream))
    return Place(where, bucket, stream, objects)


def _is_named(args: argparse.Namespace) -> bool:
    """Whether the arguments name all that is needed, so that no stack is asked."""
    return bool(args.bucket and (args.stream or not args.apply))


def _names(args: argparse.Namespace, where: Access) -> tuple[str, str]:
    """The names of the bucket, and of the stream if it is needed."""
    if _is_named(args):
        return args.bucket, args.stream or ""
    found = outputs_or_remedy(where, args.stack, "--bucket and --stream")
    try:
        return args.bucket or found["QuarantineBucketName"], args.stream or found["StreamName"]
    except KeyError as missing:
        stack = args.stack or STACK
        raise CommandError(f"the stack {stack!r} has no output {missing}; name --bucket and --stream") from None


def _seals(args: argparse.Namespace, where: Access, stream: str) -> Seals | None:
    """The application's: requests that are put back without them would be taken for somebody else's."""
    secret = os.environ.get("TIDEMILL_APPLICATION_SECRET")
    if secret is None and not (args.bucket and args.stream):
        with suppress(NoStack, KeyError):
            stored = outputs(where, args.stack or STACK)["ApplicationSecretArn"]
            secret = where.client("secretsmanager").get_secret_value(SecretId=stored)["SecretString"]
    try:
        return Seals.read(stream_name(stream), secret) if secret and stream else None
    except ValueError as error:
        raise CommandError(str(error)) from None
