"""Tidemill's SDK: send requests to a stream, and hear what became of them.

Room: SDK. What is named here is public; importing it imports no boto3.
"""

from tidemill.aio import AsyncHandle, AsyncProducer
from tidemill.buffer import Acknowledged
from tidemill.failures import (
    BufferFull,
    GivenUp,
    Misconfigured,
    NotAccepted,
    OutcomeUnknown,
    ProducerClosed,
    StillPending,
)
from tidemill.metrics import CallMade, LogMetrics, OpenTelemetryMetrics
from tidemill.outbox import Stats
from tidemill.own_queue import reply_queue
from tidemill.producer import Handle, Producer
from tidemill.replies import Replies
from tidemill.request import Receipts, RefusedRequest, Reply, Request
from tidemill.sendable import UnsendableRequest
from tidemill.spool import Spool, SpoolBroken, SpoolFull, SpoolInUse

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
