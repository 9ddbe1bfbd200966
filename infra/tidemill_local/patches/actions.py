"""Names the IAM action of each call. The emulator would allow everybody the calls that it has no name for.

Room: local platform, pure but for `install`, which fits it into the emulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Extract: TypeAlias = "Callable[..., str | None]"
"""Gives a call's action from its service, method, path, and more."""

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
    """
    from ministack.core import iam_actions

    require(iam_actions, "extract_iam_action", "SERVICE_TO_IAM_NAMESPACE")
    iam_actions.extract_iam_action = naming(iam_actions.extract_iam_action, iam_actions.SERVICE_TO_IAM_NAMESPACE)


def naming(extract: Extract, namespaces: Mapping[str, Any]) -> Extract:
    """The emulator's naming of actions, with names for calls that it does not know.

    Args:
        extract: the emulator's own.
        namespaces: service -> how IAM calls it.
    """

    def put_right(service: str, method: str, path: str, *rest: Any) -> str | None:
        if service == "lambda" and (action := _mapping_action(method, path)):
            return f"lambda:{action}"
        action = extract(service, method, path, *rest)
        if action is None and service in namespaces and service not in _OWN_CHECKS:
            return f"{namespaces[service]}:{UNNAMED}"
        return action

    return put_right


def _mapping_action(method: str, path: str) -> str | None:
    """The action of a call about one event source mapping."""
    before, found, mapping_id = path.rstrip("/").rpartition(f"/{MAPPINGS}/")
    return _OF_A_MAPPING.get(method) if found and mapping_id and "/functions" not in before else None
