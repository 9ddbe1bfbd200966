"""Tidemill's SDK: send requests to a stream, and hear what became of them.

Room: SDK. What is named here is public; importing it imports no boto3.
"""

from tidemill.aio import AsyncProducer
from tidemill.contract.request import Receipts, RefusedRequest, Reply, Request
from tidemill.contract.validation import UnsendableRequest
from tidemill.delivery.observer import CallMade
from tidemill.errors import (
    BufferFull,
    GivenUp,
    Misconfigured,
    NotAccepted,
    OutcomeUnknown,
    ProducerClosed,
    StillPending,
)
from tidemill.handle import AsyncHandle, Handle
from tidemill.metrics import LogMetrics, OpenTelemetryMetrics
from tidemill.producer import Producer
from tidemill.replies.queue import reply_queue
from tidemill.replies.replies import Replies
from tidemill.sending.records import Acknowledged
from tidemill.sending.scheduler import Stats
from tidemill.spool.errors import SpoolBroken, SpoolFull, SpoolInUse
from tidemill.spool.spool import Spool

__all__ = [
    "Acknowledged",
    "AsyncHandle",
    "AsyncProducer",
    "BufferFull",
    "CallMade",
    "GivenUp",
    "Handle",
    "LogMetrics",
    "Misconfigured",
    "NotAccepted",
    "OpenTelemetryMetrics",
    "OutcomeUnknown",
    "Producer",
    "ProducerClosed",
    "Receipts",
    "RefusedRequest",
    "Replies",
    "Reply",
    "Request",
    "Spool",
    "SpoolBroken",
    "SpoolFull",
    "SpoolInUse",
    "Stats",
    "StillPending",
    "UnsendableRequest",
    "reply_queue",
]
