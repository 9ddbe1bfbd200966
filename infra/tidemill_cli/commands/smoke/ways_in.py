"""The ways by which requests come in, each tried once: the SDK, a plain record, the HTTP API.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial

import msgspec
from botocore.credentials import Credentials

from tidemill import Handle, Producer, Reply, StillPending
from tidemill.contract.request import PROBE, Request, encode
from tidemill_bench.sending import SignedPost
from tidemill_cli.commands.smoke.failures import PAGE, Skipped, StepFailed
from tidemill_cli.commands.smoke.hearing import Hearing, accepted
from tidemill_cli.commands.smoke.subject import UnderTest
from tidemill_cli.producers import close, kinesis_of_producer
from tidemill_load.direct_endpoint import DirectEndpoint

TOGETHER = 3
"""Requests that must share a record."""

LINGER = 0.5
"""Seconds that the producer gathers requests: far more than it takes to send so few."""

TRIES = 3
"""Times that the HTTP API is asked, where its answer says that another may help."""

MOST_SAID = 300
"""Bytes of an answer that is no outcome, which are told."""


def by_sdk(stack: UnderTest, hearing: Hearing) -> str:
    """Requests of one key by the SDK's producer: in one aggregated record, each applied and answered."""
    name = stack.request("sdk").id
    replies = hearing.replies()
    kinesis = kinesis_of_producer(stack.access)
    producer = Producer(stack.output("StreamName"), kinesis=kinesis, client=stack.run, replies=replies, linger=LINGER)
    try:
        handles = [
            producer.send(PROBE, key=name, data={}, id=f"{name}-{number}", reply=True) for number in range(TOGETHER)
        ]
        deadline = time.monotonic() + stack.patience
        places = {handle.result(max(0.0, deadline - time.monotonic())) for handle in handles}
        stack.on_stream.update({handle.id: name for handle in handles})
        if len(places) > 1:
            raise StepFailed(f"{TOGETHER} requests that were sent together are in {len(places)} records, not in one")
        for handle in handles:
            accepted(hearing.until(partial(_reply, handle), name))
    finally:
        close(producer)
    return f"{TOGETHER} requests in one aggregated record, each answered"


def _reply(handle: Handle, seconds: float) -> Reply | None:
    try:
        return handle.reply(seconds)
    except StillPending:
        return None


def by_plain_record(stack: UnderTest, hearing: Hearing) -> str:
    """A request as a record of its own by PutRecord, as mobile SDKs put it: applied and answered."""
    hearing.begin()
    request = stack.request("plain")
    put(stack, request)
    accepted(hearing.wait(request.id, str(request.key)))
    return "a record by PutRecord, answered"


def put(stack: UnderTest, request: Request) -> None:
    """Put a request on the stream as a record of its own, with the operator's keys."""
    record = {"Data": encode(request), "PartitionKey": str(request.key)}
    stack.client("kinesis").put_record(StreamName=stack.output("StreamName"), **record)
    stack.on_stream[request.id] = str(request.key)


def by_http(stack: UnderTest, _: Hearing) -> str:
    """A signed POST to the direct endpoint, if there is one: answered in the response."""
    url = stack.outputs.get("DirectUrl")
    if url is None:
        raise Skipped("the stack has no direct endpoint (DirectEndpoint=off)")
    where = stack.access
    keys = Credentials(where.access_key or "", where.secret_key or "", where.session_token)
    payload = encode(stack.request("direct"))
    with closing(SignedPost(DirectEndpoint(url, keys, where.region), 1)) as post:
        for left in reversed(range(TRIES)):
            status, body = post(payload)
            if status is not None and status < 500 and status != 429:
                break
            time.sleep(1.0 if left else 0.0)
    if status == 403:
        said = body[:MOST_SAID].decode(errors="replace")
        raise StepFailed(f"no permission for execute-api:Invoke: {said} ({PAGE} lists what this command needs)")
    try:
        accepted(msgspec.json.decode(body, type=Reply))
    except msgspec.MsgspecError:
        said = body[:MOST_SAID].decode(errors="replace")
        raise StepFailed(f"no answer of {url}" if status is None else f"{url} says {status}: {said}") from None
    return f"a signed POST to {url}, answered by {status}"
