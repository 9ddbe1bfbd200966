"""Sending one request, and waiting for its reply.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_send.py.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

import msgspec

from tidemill import Acknowledged, Handle, Replies, Reply, StillPending
from tidemill.contract.claim_check import CLAIM_CHECK
from tidemill.replies.queue import reply_queue
from tidemill_cli.commands.send.destination import WAIT, Destination
from tidemill_cli.commands.send.inputs import data_in, data_of
from tidemill_cli.errors import FAILED, CommandError
from tidemill_cli.producers import close
from tidemill_cli.terminal_text import print_on_stderr, progress


def send_one(to: Destination) -> int:
    """Send the request of the arguments; 0 when it is on the stream, and accepted where its reply is waited for."""
    args = to.args
    data = data_in(args.data_file) if args.data_file is not None else data_of(args.data or "{}")
    uploads = to.bucket is not None and len(msgspec.json.encode(data)) > CLAIM_CHECK
    begun = time.monotonic()
    with ExitStack() as stack:
        waits = not args.no_reply and bool(to.outputs)
        client = args.client or (f"tidemill-send-{time.time_ns():x}" if waits or uploads else None)
        queue = None
        if waits:
            topic = to.outputs["RepliesTopicArn"]
            queue = stack.enter_context(reply_queue(topic, client, client_of=to.access.client))
        replies = None if queue is None else Replies(queue, sqs=to.access.client("sqs"))
        producer = to.producer(uploads, client=client, replies=replies, linger=0)
        stack.callback(close, producer, 0.0)  # by then it is acknowledged, or took too long
        handle = producer.send(args.cmd, key=args.key, data=data, reply=waits)
        place = _place(handle, args.timeout)
        to.say(f"{handle.id} is on the stream: {place.shard} {place.sequence}")
        result: dict[str, Any] = {"id": handle.id, "shard": place.shard, "sequence": place.sequence}
        reply = _reply(to, handle) if waits else None
    told = msgspec.to_builtins(reply) if reply else None
    to.write(result | {"reply": told, "seconds": round(time.monotonic() - begun, 3)})
    return 0 if reply is None or reply.status == "accepted" else FAILED


def _reply(to: Destination, handle: Handle) -> Reply:
    timeout = to.args.timeout
    try:
        with progress("waiting for its reply", otherwise=print_on_stderr):
            reply = handle.reply(timeout)
    except StillPending:
        raise CommandError(
            f"no reply within {timeout:g} s; it is applied all the same once its batch is, or look whether the "
            f"function fails: {to.shown_by} shows the mappings' state"
        ) from None
    detail = reply.error if reply.error else json.dumps(reply.data) if reply.data is not None else ""
    to.say(f"{reply.status} {detail}".rstrip())
    return reply


def _place(handle: Handle, timeout: float) -> Acknowledged:
    try:
        return handle.result(timeout)
    except StillPending:
        raise CommandError(f"{handle.id} was not acknowledged within {timeout:g} s. {WAIT}") from None
