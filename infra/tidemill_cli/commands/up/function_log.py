"""The log lines of the stack's functions, to be shown while the platform runs.

Room: command line. Asks CloudWatch Logs, as any other tool would. What Lambda itself writes about each invocation is
left out, and so are metrics: a thousand requests a second would fill the screen with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_cli.terminal_text import printable

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

MOST_LINES = 100
"""Lines shown between two looks at the log; further ones are only counted."""

_OF_LAMBDA = re.compile(r'(START|END|REPORT) RequestId: |INIT_|\{"_aws":')
_OF_LOGGER = re.compile(r"\[(\w+)\]\t\S+Z\t\S*\t(.*)", re.DOTALL)

_CODE = "/ministack-provided-code-"
_IN_CODE = re.compile(rf'((?<=")[^"\r\n]*|[^\s"]*){_CODE}\w+/[0-9a-f]{{64}}/')
"""The folder that the emulator has unpacked a function's code into."""


class FunctionLog:
    """The log of some functions, from a time on.

    Args:
        logs: a boto3 client.
        groups: how a function is called in the lines -> its log group.
        since: milliseconds since 1970.
        heard: called with each event's message, also with what is not shown.
    """

    def __init__(
        self,
        logs: CloudWatchLogsClient,
        groups: Mapping[str, str],
        since: int,
        heard: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._logs = logs
        self._groups = groups
        self._since = dict.fromkeys(groups, since)
        self._seen: dict[str, set[str]] = {label: set() for label in groups}
        self._heard = heard
        self._is_told = False
        """Whether it was said that the log cannot be read."""

    def new(self) -> Iterator[str]:
        """The lines since it was asked last."""
        try:
            yield from self._new()
        except (ClientError, BotoCoreError) as error:
            if not self._is_told:
                yield f"the functions' log cannot be read, trying again: {error}"
            self._is_told = True
        else:
            self._is_told = False

    def _new(self) -> Iterator[str]:
        for label, group in self._groups.items():
            lines = [line for event in self._events(label, group) for line in shown(event)]
            yield from (f"{label}: {line}" for line in lines[:MOST_LINES])
            if len(lines) > MOST_LINES:
                yield f"{label}: {len(lines) - MOST_LINES:,} more lines: aws logs tail {group}"

    def _events(self, label: str, group: str) -> Iterator[str]:
        since, seen = self._since[label], self._seen[label]
        try:
            pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
            events: list[Any] = [event for page in pages for event in page["events"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return  # nothing has run yet
        if not events:
            return
        latest = self._since[label] = max(event["timestamp"] for event in events)
        self._seen[label] = {event["eventId"] for event in events if event["timestamp"] == latest}
        for event in events:
            if event["eventId"] not in seen:
                self._heard(event["message"])
                yield event["message"]


def shown(message: str) -> Iterator[str]:
    """The lines that are shown of a log event: none of Lambda's own."""
    if _OF_LAMBDA.match(message):
        return
    if found := _OF_LOGGER.match(message):
        message = f"{found[1]} {found[2]}"
    if _CODE in message:
        message = _IN_CODE.sub("", message)  # the file's name in the user's own folder remains
    for number, line in enumerate(re.split(r"[\r\n]+", message.rstrip())):
        yield printable(("  " if number else "") + line.replace("\N{NO-BREAK SPACE}", " "))
