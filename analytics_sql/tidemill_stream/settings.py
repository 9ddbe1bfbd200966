"""The stage's settings, as its runtime properties have them.

Room: analytics, stage. No I/O. Standard library alone.

| property | what it is |
|---|---|
| `generation` | the name of this life of the job's state, `20260101T000000Z-abcdef` |
| `begin` | where its first window begins, in seconds since 1970: a whole number of windows |
| `commands` | JSON: each aggregatable command, with the member of data that it sums, or null |
| `periods` | when the stage takes what arrives, as the stack's parameter AnalyticsPeriods |
| `horizon.seconds` | how long repeats are known, as the stack's parameter RepeatHorizonSeconds |
| `window.seconds` | the length of a window; 10 by default |
| `stages` | what it runs, with commas between; all but `enrich` by default |
| `binding` | where its tables are; `kinesis` by default |

All others are values for the binding's SQL, by name, with dots for underscores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

GROUP = "tidemill.analytics"
"""The group of runtime properties that are these settings."""

FLINK_GROUP = f"{GROUP}.flink"
"""The group of properties that are Flink's own settings. Managed Flink has its own, and takes no others."""

STAGES = ("coalesce", "top_content", "anomalies", "enrich")
"""What there is to run; each is a file of SQL."""

MOST_WINDOW_SECONDS = 3600

_GENERATION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-z]{6}").fullmatch
_PERIODS = re.compile(r"[0-9]{1,11}-[0-9]{1,11}(,[0-9]{1,11}-[0-9]{1,11})*(,[0-9]{1,11}-)?|[0-9]{1,11}-").fullmatch
_NAMES = {"generation", "begin", "commands", "periods", "horizon.seconds", "window.seconds", "stages", "binding"}


class InvalidSettings(ValueError):
    """A property is missing or wrong; says which, and what it must be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the stage runs, and where.

    Attributes:
        generation: names this life of the job's state; it sorts by time.
        begin: where its first window begins, in seconds since 1970.
        commands: each aggregatable command, with the member of data that is summed; None counts requests.
        periods: when it takes what arrives: seconds since 1970, the latter not included, None without an end.
        horizon: seconds for which repeats are known.
        window: its windows' length in seconds.
        stages: the names of what it runs.
        binding: the name of where its tables are.
        values: what the binding's SQL needs, by name.
    """

    generation: str
    begin: int
    commands: Mapping[str, str | None]
    periods: tuple[tuple[int, int | None], ...]
    horizon: int = 3600
    window: int = 10
    stages: tuple[str, ...] = STAGES[:-1]
    binding: str = "kinesis"
    values: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _GENERATION(self.generation):
            raise InvalidSettings(f"generation: like 20260101T000000Z-abcdef, not {self.generation!r:.60}")
        if not 1 <= self.window <= MOST_WINDOW_SECONDS:
            raise InvalidSettings(f"window.seconds: 1 to {MOST_WINDOW_SECONDS}, not {self.window}")
        if self.begin < 0 or self.begin % self.window:
            raise InvalidSettings(f"begin: a whole number of windows of {self.window} seconds, not {self.begin}")
        if self.horizon < 1:
            raise InvalidSettings(f"horizon.seconds: 1 or more, not {self.horizon}")
        if not self.commands or not all(self.commands):
            raise InvalidSettings("commands: one or more; wrap the rule of one in Aggregatable")
        if not self.stages or (unknown := [one for one in self.stages if one not in STAGES]):
            raise InvalidSettings(
                f"stages: of {', '.join(STAGES)}, not {', '.join(unknown) if self.stages else 'none'}"
            )

    @classmethod
    def read(cls, properties: Mapping[str, str]) -> Settings:
        """The settings of runtime properties.

        Raises:
            InvalidSettings: one is missing or wrong.
        """
        chosen = {
            "window": _whole(properties, "window.seconds", 10),
            "horizon": _whole(properties, "horizon.seconds", 3600),
        }
        stages = properties.get("stages")
        return cls(
            properties.get("generation", ""),
            _whole(properties, "begin", None),
            _commands(properties.get("commands", "")),
            periods_in(properties.get("periods", "")),
            **chosen,
            stages=STAGES[:-1] if stages is None else tuple(filter(None, stages.split(","))),
            binding=properties.get("binding", "kinesis"),
            values={name.replace(".", "_"): value for name, value in properties.items() if name not in _NAMES},
        )

    @property
    def properties(self) -> dict[str, str]:
        """The runtime properties of these settings: `read` gives them back."""
        periods = ",".join(f"{begin}-{'' if end is None else end}" for begin, end in self.periods)
        return {
            "generation": self.generation,
            "begin": str(self.begin),
            "commands": json.dumps(dict(self.commands)),
            "periods": periods,
            "horizon.seconds": str(self.horizon),
            "window.seconds": str(self.window),
            "stages": ",".join(self.stages),
            "binding": self.binding,
            **{name.replace("_", "."): value for name, value in self.values.items()},
        }


def generation_name(now: float, token: str) -> str:
    """The name of a generation that begins now.

    Args:
        now: seconds since 1970.
        token: six lower-case letters or digits that no other generation of this second has.
    """
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{token}"


def periods_in(text: str) -> tuple[tuple[int, int | None], ...]:
    """The periods of a setting such as `1764000000-1764003600,1764090000-`, of which the last may have no end.

    Raises:
        InvalidSettings: there is none, it is not like that, or they are not one after another.
    """
    if not _PERIODS(text):
        raise InvalidSettings(f"periods: like 1764000000-1764003600,1764090000-, not {text!r:.80}")
    found = [one.split("-") for one in text.split(",")]
    times = [int(time) for pair in found for time in pair if time]
    if times != sorted(set(times)):
        raise InvalidSettings(f"periods: one after another, not {text!r:.80}")
    return tuple((int(begin), int(end) if end else None) for begin, end in found)


def _whole(properties: Mapping[str, str], name: str, default: int | None) -> int:
    text = properties.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"[0-9]{1,11}", text):
        raise InvalidSettings(f"{name}: a whole number, not {text!r:.40}")
    return int(text)


def _commands(text: str) -> dict[str, str | None]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(
        value is None or (isinstance(value, str) and value) for value in found.values()
    ):
        raise InvalidSettings(f'commands: JSON such as {{"content.view": null, "cart.add": "count"}}, not {text!r:.80}')
    return found
