"""Tidemill's SDK: send requests to a stream, and hear what became of them.

Room: SDK. What is named here is public; importing it imports no boto3.
"""

from tidemill.buffer import Acknowledged
from tidemill.outbox import Stats
from tidemill.producer import Handle, NotAccepted, Producer, ProducerClosed, StillPending
from tidemill.replies import Replies
from tidemill.request import Receipts, RefusedRequest, Reply, Request
from tidemill.sendable import UnsendableRequest

__all__ = [
    "Acknowledged",
    "Handle",
    "NotAccepted",
    "Producer",
    "ProducerClosed",
    "Receipts",
    "RefusedRequest",
    "Replies",
    "Reply",
    "Request",
    "Stats",
    "StillPending",
    "UnsendableRequest",
]
