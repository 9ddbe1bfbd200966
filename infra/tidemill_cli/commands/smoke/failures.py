"""Why a step of `tidemill smoke` failed, in words for whoever deployed the stack.

Room: command line.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

PAGE = "docs/how-to/running-on-aws.md"
"""The page that lists the permissions."""

DENIED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
}
"""Codes by which services refuse whoever lacks a permission: SNS says AuthorizationError, S3 AccessDenied."""


class StepFailed(Exception):
    """The stack does not do what the step is about; says what was seen instead."""


class Skipped(Exception):
    """The stack lacks the part that the step is about; says which."""


def is_denied(error: BaseException) -> bool:
    """Whether an error is a refusal for want of a permission."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in DENIED


def why(error: BaseException) -> str:
    """The reason, in a line."""
    if is_denied(error) and isinstance(error, ClientError):
        said = error.response["Error"].get("Message") or "access denied"
        return f"no permission for {error.operation_name}: {said} ({PAGE} lists what this command needs)"
    told = " ".join(str(error).split())
    return told if told and type(error).__module__.startswith(("tidemill", "botocore")) else _named(error, told)


def _named(error: BaseException, told: str) -> str:
    return f"{type(error).__name__}: {told}" if told else type(error).__name__
