"""The messages of SQS's queues: which are deleted or hidden is journaled, for handles do not outlive the process.

Room: local platform. That a message was received is kept by the next snapshot only: after a kill it may be received
again at once, and counts one time less.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill_local.patches.durability.recorder import Recorder

    Act = Callable[[Any, str], Any]

BY_HANDLE = ("DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch")
"""Calls that name messages by their handles, which nobody knows after a kill."""


def hook(sqs: Any, recorder: Recorder) -> None:
    """Have it journaled by the messages' ids what is done to them by their handles."""
    for action in BY_HANDLE:
        sqs._HANDLERS[action] = _journaling(sqs._HANDLERS[action], sqs, recorder)
    delete = sqs._delete_messages_for_esm
    deleting = _journaling(lambda data, url: delete(url, data["handles"]), sqs, recorder)
    sqs._delete_messages_for_esm = lambda url, handles: deleting(
        {"handles": handles, "Entries": [{"ReceiptHandle": one} for one in handles]}, url
    )


def hide_again(sqs: Any, entry: dict[str, Any]) -> None:
    """Messages have their ids whatever queue they are in, as after they became dead letters."""
    gone, visible = set(entry["gone"]), entry["visible"]
    for queue in sqs._queues._data.values():
        if gone:
            queue["messages"] = [one for one in queue["messages"] if one["id"] not in gone]
        for one in queue["messages"] if visible else ():
            one["visible_at"] = visible.get(one["id"], one["visible_at"])


def _journaling(act: Act, sqs: Any, recorder: Recorder) -> Act:
    def journaling(data: Any, url: str) -> Any:
        queue = sqs._get_q(data.get("QueueUrl", url))
        handles = {one.get("ReceiptHandle") for one in (data, *data.get("Entries", []))} - {None}
        meant = {one["id"] for one in queue["messages"] if one.get("receipt_handle") in handles}
        answer = act(data, url)
        left = {one["id"]: one["visible_at"] for one in queue["messages"] if one["id"] in meant}
        recorder.append({"queue": queue["url"], "gone": sorted(meant - left.keys()), "visible": left})
        return answer

    return journaling
