"""boto3 with the network cut off: a call goes through all of botocore and is answered where it would be sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import boto3
from botocore.awsrequest import AWSResponse

Answer: TypeAlias = Callable[[str, bytes], bytes]
"""From a call's operation and body to the body of its answer."""

Look: TypeAlias = Callable[[Any], object]
"""Sees a call's parameters before it is made."""


_ACTION = re.compile(r"Action=(\w+)")
"""Where the operation stands in a form."""


class Body:
    """The body of an answer, as urllib3 would give it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        """All of it."""
        yield self._body


def cut(**answers: Answer) -> None:
    """Has every boto3 client that is made from now on answered from here, by its service: JSON, or XML to forms."""
    boto3.setup_default_session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    session: Any = boto3.DEFAULT_SESSION
    for service, answer in answers.items():
        session.events.register(f"before-send.{service}", partial(_send, answer))


def look(event: str, see: Look) -> None:
    """Shows the parameters of every call, of clients made from now on: such as `kinesis.PutRecords`.

    Looking for something in the body instead would take its time, and be measured.
    """
    session: Any = boto3.DEFAULT_SESSION
    session.events.register(f"provide-client-params.{event}", lambda params, **_: see(params))


def _send(answer: Answer, request: Any, **_: Any) -> AWSResponse:
    target = request.headers.get("X-Amz-Target")
    if target is None:  # of SNS, whose operation stands in the body, which is a form
        form = request.body if isinstance(request.body, str) else request.body.decode()
        operation = _ACTION.findall(form)[0]
        body, kind = answer(operation, form.encode()), "text/xml"
    else:
        operation = (target if isinstance(target, str) else target.decode()).rpartition(".")[2]
        body, kind = answer(operation, request.body), "application/x-amz-json-1.1"
    headers: Any = {"x-amzn-RequestId": "0", "Content-Type": kind, "Content-Length": str(len(body))}
    return AWSResponse(request.url, 200, headers, Body(body))
