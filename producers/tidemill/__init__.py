"""Tidemill's SDK: sends requests to a stream and receives their replies.

Room: SDK. The names here are public. Each is imported on first use: a function that shares the contract with producers
needs no producer, and nobody needs asyncio or boto3 before they use them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill.aio import AsyncProducer
    from tidemill.aws.cognito import CognitoIdentity, IdentityRefused
    from tidemill.content.presigned import describe_photo, presigned_upload
    from tidemill.content.presigned_store import upload_presigned
    from tidemill.content.upload import Uploaded
    from tidemill.contract.content_index import Entry, Shown, UnreadableIndex
    from tidemill.contract.geohash import GeohashUnavailable, Point
    from tidemill.contract.request import RefusedRequest, Reply, ReplyMessage, Request
    from tidemill.contract.signature import Signer, SigningUnavailable, deregistration, new_key, registration
    from tidemill.contract.validation import UnsendableRequest
    from tidemill.delivery.observer import CallMade
    from tidemill.errors import (
        BufferFull,
        GivenUp,
        Misconfigured,
        NotAccepted,
        NotUploaded,
        OutcomeUnknown,
        ProducerClosed,
        StillPending,
        TooManyQueues,
        UnfitFile,
    )
    from tidemill.handle import AsyncHandle, Handle
    from tidemill.metrics import LogMetrics, OpenTelemetryMetrics
    from tidemill.producer import Producer
    from tidemill.reader import Near, Reader
    from tidemill.reading.nearby import TooFar
    from tidemill.replies.queue import reply_queue
    from tidemill.replies.replies import Replies
    from tidemill.sending.records import Acknowledged
    from tidemill.sending.tally import Stats
    from tidemill.spool.errors import SpoolBroken, SpoolFull, SpoolInUse
    from tidemill.spool.spool import Spool

__all__ = [
    "Acknowledged",
    "AsyncHandle",
    "AsyncProducer",
    "BufferFull",
    "CallMade",
    "CognitoIdentity",
    "Entry",
    "GeohashUnavailable",
    "GivenUp",
    "Handle",
    "IdentityRefused",
    "LogMetrics",
    "Misconfigured",
    "Near",
    "NotAccepted",
    "NotUploaded",
    "OpenTelemetryMetrics",
    "OutcomeUnknown",
    "Point",
    "Producer",
    "ProducerClosed",
    "Reader",
    "RefusedRequest",
    "Replies",
    "Reply",
    "ReplyMessage",
    "Request",
    "Shown",
    "Signer",
    "SigningUnavailable",
    "Spool",
    "SpoolBroken",
    "SpoolFull",
    "SpoolInUse",
    "Stats",
    "StillPending",
    "TooFar",
    "TooManyQueues",
    "UnfitFile",
    "UnreadableIndex",
    "UnsendableRequest",
    "Uploaded",
    "deregistration",
    "describe_photo",
    "new_key",
    "presigned_upload",
    "registration",
    "reply_queue",
    "upload_presigned",
]

_MODULES = {
    "tidemill.aio": "AsyncProducer",
    "tidemill.aws.cognito": "CognitoIdentity IdentityRefused",
    "tidemill.content.presigned": "describe_photo presigned_upload",
    "tidemill.content.presigned_store": "upload_presigned",
    "tidemill.content.upload": "Uploaded",
    "tidemill.contract.content_index": "Entry Shown UnreadableIndex",
    "tidemill.contract.geohash": "GeohashUnavailable Point",
    "tidemill.contract.request": "RefusedRequest Reply ReplyMessage Request",
    "tidemill.contract.signature": "Signer SigningUnavailable deregistration new_key registration",
    "tidemill.contract.validation": "UnsendableRequest",
    "tidemill.delivery.observer": "CallMade",
    "tidemill.errors": (
        "BufferFull GivenUp Misconfigured NotAccepted NotUploaded OutcomeUnknown ProducerClosed StillPending "
        "TooManyQueues UnfitFile"
    ),
    "tidemill.handle": "AsyncHandle Handle",
    "tidemill.metrics": "LogMetrics OpenTelemetryMetrics",
    "tidemill.producer": "Producer",
    "tidemill.reader": "Near Reader",
    "tidemill.reading.nearby": "TooFar",
    "tidemill.replies.queue": "reply_queue",
    "tidemill.replies.replies": "Replies",
    "tidemill.sending.records": "Acknowledged",
    "tidemill.sending.tally": "Stats",
    "tidemill.spool.errors": "SpoolBroken SpoolFull SpoolInUse",
    "tidemill.spool.spool": "Spool",
}
"""Module -> the names of this package that are in it."""

_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

if not TYPE_CHECKING:  # a type checker reads the imports above, and reports unknown names

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
