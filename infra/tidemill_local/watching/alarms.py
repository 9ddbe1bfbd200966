"""The alarms of a running platform: measures, evaluates, and tells the alarms' topics what changed.

Room: local platform, I/O: what is measured and who is told are arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from tidemill_local.watching.alarm import Alarm
from tidemill_local.watching.datapoints import Datapoints
from tidemill_local.watching.evaluation import State, result_of, state_of

Tell: TypeAlias = Callable[[str, str, str], object]
"""Publishes on a topic: its ARN, a subject and a message."""


class Measure(Protocol):
    """Something that measures."""

    def measure(self, points: Datapoints, at: float) -> None:
        """Add what was measured since the last call."""


class Alarms:
    """Alarms, evaluated each time that `look` is called.

    Args:
        alarms: the alarms.
        measures: what measures.
        tell: publishes on a topic.

    Attributes:
        points: what was measured so far; more may be added to it.
        states: by alarm's name.
    """

    def __init__(self, alarms: Sequence[Alarm], measures: Sequence[Measure], tell: Tell) -> None:
        self._alarms = alarms
        self._measures = measures
        self._tell = tell
        self.points = Datapoints()
        self.states: Mapping[str, State] = dict.fromkeys([one.name for one in alarms], "INSUFFICIENT_DATA")

    @property
    def on(self) -> set[str]:
        """The names of the alarms that are on."""
        return {name for name, state in self.states.items() if state == "ALARM"}

    def description(self, name: str) -> str:
        """The meaning of an alarm."""
        return next(one.description for one in self._alarms if one.name == name)

    def look(self, at: float) -> None:
        """Measure, evaluate, and tell what changed.

        Args:
            at: seconds since 1970; what was measured since the last look counts as of this time.
        """
        for measure in self._measures:
            measure.measure(self.points, at)
        before = self.states
        self.states = {one.name: self._state(one, at) for one in self._alarms}
        for one in self._alarms:
            if before[one.name] != self.states[one.name]:
                self._changed(one, before[one.name], at)

    def _state(self, alarm: Alarm, at: float) -> State:
        return state_of(alarm, result_of(alarm, self.points, at), self.states[alarm.name])

    def _changed(self, alarm: Alarm, before: State, at: float) -> None:
        state = self.states[alarm.name]
        message = {
            "AlarmName": alarm.name,
            "NewStateValue": state,
            "OldStateValue": before,
            "StateChangeTime": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        }
        for topic in {"ALARM": alarm.actions, "OK": alarm.ok_actions}.get(state, ()):
            self._tell(topic, f'{state}: "{alarm.name}"', json.dumps(message))
