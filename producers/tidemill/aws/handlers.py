"""The handlers of a client's events, and what is found out about them, until they change.

Room: SDK, no I/O. boto3 has no way to ask which handlers there are. Where botocore's parts have other names than today,
nothing is known of them, and whoever asks leaves the work to botocore. Its test is
tests/producers/tidemill/aws/test_fast_calls.py.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any


class Handlers:
    """The handlers of a client.

    Args:
        events: the client's event system: `client.meta.events`.
    """

    def __init__(self, events: Any) -> None:
        self._events = events
        self._emitter = getattr(events, "_emitter", events)
        self._are_listed = hasattr(self._emitter, "_handlers") and (
            events is self._emitter or hasattr(events, "_alias_event_name")
        )
        self._found: tuple[object, dict[Hashable, Any]] = (None, {})

    def found(self) -> dict[Hashable, Any] | None:
        """A dict for findings that hold until a handler comes or goes, then a new one. None if that is not seen."""
        lookups = getattr(self._emitter, "_lookup_cache", None)  # botocore takes a new one after each change
        if lookups is None or not self._are_listed:
            return None
        of, found = self._found
        if of is not lookups:
            found = {}
            self._found = lookups, found
        return found

    def of(self, event: str) -> list[Any]:
        """The event's handlers, as they are called. To be asked only where `found` has a dict."""
        name = self._events._alias_event_name(event) if self._events is not self._emitter else event
        return list(self._emitter._handlers.prefix_search(name))
