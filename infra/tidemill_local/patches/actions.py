"""Names the IAM action of each call. The emulator would allow everybody the calls that it has no name for, and takes a
call that deletes versions of objects for one that deletes objects.

Room: local platform, pure but for `install`, which fits it into the emulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Extract: TypeAlias = "Callable[..., str | None]"
"""Gives a call's action from its service, method, path, and more."""

Targets: TypeAlias = "Callable[[str, bytes], list[tuple[str, str]]]"
"""Gives the objects that a DeleteObjects call is about, each with its version or "", from its bucket and body."""

MAPPINGS = "event-source-mappings"
_OF_A_MAPPING = {
    "GET": "GetEventSourceMapping",
    "PUT": "UpdateEventSourceMapping",
    "DELETE": "DeleteEventSourceMapping",
}

UNNAMED = "Unnamed"
"""The action of a call without a name: only policies that allow all actions of the service allow it."""

_OWN_CHECKS = {"s3", "ses", "bedrock-agentcore"}
"""Services whose calls without a name the emulator checks itself."""


def install() -> None:
    """Have a call whose action has no name refused, unless all actions of its service are allowed.

    Needs of the emulator:
        iam_actions.extract_iam_action: names the action that policies are asked about; None lets everybody do it.
        iam_actions.SERVICE_TO_IAM_NAMESPACE: how IAM calls a service.
        iam_actions._s3_batch_delete_targets: the objects of a DeleteObjects call. The emulator asks about the first
            one by the call's action, and about each other by an action of its own.
    """
    from ministack.core import iam_actions

    require(iam_actions, "extract_iam_action", "SERVICE_TO_IAM_NAMESPACE", "_s3_batch_delete_targets")
    iam_actions.extract_iam_action = naming(
        iam_actions.extract_iam_action, iam_actions.SERVICE_TO_IAM_NAMESPACE, iam_actions._s3_batch_delete_targets
    )


def naming(extract: Extract, namespaces: Mapping[str, Any], targets: Targets) -> Extract:
    """The emulator's naming of actions, with names for calls that it does not know.

    Args:
        extract: the emulator's own.
        namespaces: service -> how IAM calls it.
        targets: the objects of a DeleteObjects call.
    """

    def put_right(service: str, method: str, path: str, *rest: Any) -> str | None:
        if service == "lambda" and (action := _mapping_action(method, path)):
            return f"lambda:{action}"
        action = extract(service, method, path, *rest)
        if action == "s3:DeleteObject" and method == "POST" and _begins_with_a_version(targets, path, rest[1]):
            return "s3:DeleteObjectVersion"
        if action is None and service in namespaces and service not in _OWN_CHECKS:
            return f"{namespaces[service]}:{UNNAMED}"
        return action

    return put_right


def _begins_with_a_version(targets: Targets, path: str, body: bytes) -> bool:
    """Whether the first of the objects that a DeleteObjects call is about is one with its version.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    every = targets(path.strip("/"), body)
    return bool(every and every[0][1])


def _mapping_action(method: str, path: str) -> str | None:
    """The action of a call about one event source mapping."""
    before, found, mapping_id = path.rstrip("/").rpartition(f"/{MAPPINGS}/")
    return _OF_A_MAPPING.get(method) if found and mapping_id and "/functions" not in before else None
