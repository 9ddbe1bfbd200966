"""Deleted and hidden messages of SQS's queues, journaled by message id: receipt handles do not outlive the process.

Room: local platform. A receipt of a message is kept only by the next snapshot: after a kill the message may be received
again at once, and its receive count may be one too low.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill_local.patches.durability.recorder import Recorder

    Act = Callable[[Any, str], Any]

BY_HANDLE = ("DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch")
"""Calls that name messages by their receipt handles, which are lost by a kill."""


def hook(sqs: Any, recorder: Recorder) -> None:
    """Have changes of messages by their receipt handles journaled by the messages' ids."""
    for action in BY_HANDLE:
        sqs._HANDLERS[action] = _journaling(sqs._HANDLERS[action], sqs, recorder)
    delete = sqs._delete_messages_for_esm
    deleting = _journaling(lambda data, url: delete(url, data["handles"]), sqs, recorder)
    sqs._delete_messages_for_esm = lambda url, handles: deleting(
        {"handles": handles, "Entries": [{"ReceiptHandle": one} for one in handles]}, url
    )


def hide_again(sqs: Any, entry: dict[str, Any]) -> None:
    """Delete and hide messages again, in whatever queue they are: they may have become dead letters."""
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
