"""Removing what `tidemill smoke` left in the stack: its queue, the items of its keys, its objects of the quarantine.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tidemill_cli.commands.smoke.failures import StepFailed, why
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.quarantined import WHAT, done_name, objects_of, quarantine_of
from tidemill_cli.commands.smoke.subject import UnderTest

LOOK_SECONDS = 0.5
"""Between two looks at a key whose request may be on its way."""


def of_what_was_made(stack: UnderTest, hearing: Hearing) -> str:
    """Delete what this run made, and nothing else: items and objects are found by its own keys.

    Raises:
        StepFailed: something stays, or comes later; says what, and why.
    """
    problems: list[str] = []

    def tried(work: Callable[[], int]) -> int:
        try:
            return work()
        except Exception as error:  # one part that stays must not keep the others
            problems.append(why(error))
            return 0

    tried(hearing.close)
    tried(lambda: _wait_for_late(stack))
    items = tried(lambda: _items(stack))
    objects = tried(lambda: _objects(stack)) if f"{stack.run}/{WHAT}" in stack.keys else 0
    done = f"{items} items of the table and {objects} objects of the quarantine"
    if problems:
        raise StepFailed(f"{done}; and {'; '.join(problems)}")
    return done


def _wait_for_late(stack: UnderTest) -> int:
    """Wait for keys on the stream that are not applied, if others are, for then these are on their way.

    Raises:
        StepFailed: some are not applied; says which.
    """
    waiting = dict.fromkeys(stack.on_stream.values())
    deadline = time.monotonic() + stack.reply_seconds
    while late := [key for key in waiting if not stack.has_applied(key)]:
        if len(late) == len(waiting) or time.monotonic() > deadline:
            raise StepFailed(f"{', '.join(late)} are not applied yet; the items of these keys come once they are")
        time.sleep(LOOK_SECONDS)
    return 0


def _items(stack: UnderTest) -> int:
    """Delete the items of this run's keys; how many there were."""
    deleted = 0
    dynamodb, table = stack.client("dynamodb"), stack.output("TableName")
    for key in sorted(stack.keys):
        answer = dynamodb.delete_item(TableName=table, Key={"pk": {"S": key}}, ReturnValues="ALL_OLD")
        deleted += bool(answer.get("Attributes"))
    return deleted


def _objects(stack: UnderTest) -> int:
    """Delete the objects of this run's request, those that wait and those that were put back; how many there were."""
    place = quarantine_of(stack)
    deadline = time.monotonic() + stack.patience
    names = {done_name(one) for one in stack.put_back}
    for one in objects_of(stack, place):
        if one:
            names.add(one.object_key)
        if time.monotonic() > deadline:
            raise StepFailed(f"the quarantine holds too much to look for what is left there of {stack.run}")
    for name in sorted(names):
        stack.client("s3").delete_object(Bucket=place.bucket, Key=name)
    return len(names)
