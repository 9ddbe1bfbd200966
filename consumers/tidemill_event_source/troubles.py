"""Which errors of a stream's service pass by themselves, and how they are logged.

Room: event source, pure but for the log.
Tests: tests/consumers/tidemill_event_source/test_streams.py.
"""

from __future__ import annotations

import logging

from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError, ParamValidationError

LASTING = {
    "AccessDenied",
    "AccessDeniedException",
    "InvalidAction",
    "InvalidArgumentException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "ResourceNotFoundException",
    "SerializationException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
}
"""Codes of refusals that come again until somebody mends what they name."""


def is_lasting(error: Exception) -> bool:
    """Whether somebody must do something about it."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in LASTING
    return isinstance(error, NoCredentialsError | NoRegionError | ParamValidationError)


def is_throttled(error: Exception) -> bool:
    """Whether the shard's readers asked too often, which is usual where there are several."""
    return isinstance(error, ClientError) and "Throughput" in error.response["Error"]["Code"]


def log_trouble(log: logging.Logger, what: str, error: Exception) -> None:
    """Log why nothing moves: as an error where somebody must do something about it, else as a warning."""
    lasting = is_lasting(error)
    hint = "; it does not pass by itself" if lasting else ""
    log.log(logging.ERROR if lasting else logging.WARNING, "%s, trying again: %s%s", what, error, hint)
