"""What the SDK promises by name, and that importing it is light."""

import subprocess
import sys

import pytest

import tidemill


def test_the_exported_names() -> None:
    assert tidemill.__all__ == [
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


def test_every_exported_name_is_there_and_documented() -> None:
    for name in tidemill.__all__:
        assert getattr(tidemill, name).__doc__, name


def test_importing_it_imports_no_boto3() -> None:
    program = "import sys, tidemill; print(sorted({'boto3', 'botocore'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'tidemill' has no attribute 'Consumer'"):
        getattr(tidemill, "Consumer")  # noqa: B009 - a type checker tells it, too
