"""Tidemill's SDK: sends requests to a stream and receives their replies.

Room: SDK. The names here are public. Importing this package does not import boto3: `CognitoIdentity`, which needs it,
is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.aio import AsyncProducer
from tidemill.contract.request import RefusedRequest, Reply, ReplyMessage, Request
from tidemill.contract.signature import Signer, SigningUnavailable, deregistration, new_key, registration
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
from tidemill.sending.tally import Stats
from tidemill.spool.errors import SpoolBroken, SpoolFull, SpoolInUse
from tidemill.spool.spool import Spool

if TYPE_CHECKING:
    from tidemill.aws.cognito import CognitoIdentity, IdentityRefused

__all__ = [
    "Acknowledged",
    "AsyncHandle",
    "AsyncProducer",
    "BufferFull",
    "CallMade",
    "CognitoIdentity",
    "GivenUp",
    "Handle",
    "IdentityRefused",
    "LogMetrics",
    "Misconfigured",
    "NotAccepted",
    "OpenTelemetryMetrics",
    "OutcomeUnknown",
    "Producer",
    "ProducerClosed",
    "RefusedRequest",
    "Replies",
    "Reply",
    "ReplyMessage",
    "Request",
    "Signer",
    "SigningUnavailable",
    "Spool",
    "SpoolBroken",
    "SpoolFull",
    "SpoolInUse",
    "Stats",
    "StillPending",
    "UnsendableRequest",
    "deregistration",
    "new_key",
    "registration",
    "reply_queue",
]

_LAZY = {"CognitoIdentity": "tidemill.aws.cognito", "IdentityRefused": "tidemill.aws.cognito"}

if not TYPE_CHECKING:  # a type checker reads the imports above, and reports unknown names

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LAZY[name]), name)
