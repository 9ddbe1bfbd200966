"""The stage's statements of Flink SQL: the files of analytics_sql/stream, filled in by the settings.

Room: analytics, stage. Reads its own files, and does nothing else. Standard library alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import NamedTuple

from tidemill_stream.settings import InvalidSettings, Settings

_HERE = Path(__file__).parent
# In the wheel, and in the zip for Managed Flink, the SQL is inside the package; in the source tree it is beside it.
FOLDER = next((one for one in (_HERE / "sql", _HERE.parent / "stream") if one.is_dir()), _HERE / "sql")

MOST_AMOUNT = 2**53 - 1
"""The largest amount of one request: consumers/tidemill_consumers/core/batch.py."""

LATEST_SECONDS = 900
"""How much later than it was put a request may come, at most: docs/protocol.md, "Many writers of a key"."""

_END = re.compile(r";[ \t]*$", re.MULTILINE)
_TABLE = re.compile(r"CREATE TEMPORARY TABLE (\w+)")
_NEEDED = re.compile(r"\$\{(\w+)\}")


class Statements(NamedTuple):
    """What a job runs: first the definitions, one after another, then all inserts as one job."""

    definitions: list[str]
    inserts: dict[str, str]
    """By stage."""

    @property
    def look_for_repeats(self) -> bool:
        """Whether a stage counts what each client asks for once."""
        return any(re.search(r"\btaken\b", insert) for insert in self.inserts.values())


def statements_of(settings: Settings) -> Statements:
    """The statements for some settings.

    Raises:
        InvalidSettings: a value that the binding needs is missing, or there is no such binding.
    """
    return Statements(list(_definitions(settings)), {one: _insert(settings, one) for one in settings.stages})


def _definitions(settings: Settings) -> Iterator[str]:
    path = FOLDER / "bindings" / f"{settings.binding}.sql"
    if not path.is_file():
        raise InvalidSettings(f"binding: there is none of the name {settings.binding!r:.40}")
    written = "\n".join(_text(f"stages/{one}.sql") for one in settings.stages)
    yield from _split(_text("schema.sql"))
    for statement in _split(path.read_text(encoding="utf-8")):
        found = _TABLE.search(statement)
        # A table that no stage names needs no place.
        if found and (found[1] == "arrivals" or re.search(rf"\b(INTO|JOIN) {found[1]}\b", written)):
            yield _filled(statement, _places(settings, statement))
    for statement in _split(_text("views.sql")):
        yield _filled(statement, _conditions(settings))


def _insert(settings: Settings, stage: str) -> str:
    return next(iter(_split(_filled(_text(f"stages/{stage}.sql"), _conditions(settings)))))


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _split(text: str) -> list[str]:
    return [one.strip() for one in _END.split(text) if one.strip()]


def _filled(text: str, values: dict[str, str]) -> str:
    return Template(text).substitute(values)


def _places(settings: Settings, statement: str) -> dict[str, str]:
    """What a binding's table needs: its values as literals."""
    values = settings.values
    endpoint = values.get("aws_endpoint")
    places = {name: literal(value) for name, value in values.items()} | {
        "endpoint": f"'aws.endpoint' = {literal(endpoint)}," if endpoint else "",
        "read_from": str(max(settings.begin - max(settings.horizon, LATEST_SECONDS), 0)),
    }
    missing = set(_NEEDED.findall(statement)) - set(places)
    if missing:
        raise InvalidSettings(f"{min(missing).replace('_', '.')}: is needed by the binding {settings.binding}")
    return places


def _conditions(settings: Settings) -> dict[str, str]:
    return {
        "generation": settings.generation,
        "begin": str(settings.begin),
        "horizon_seconds": str(settings.horizon),
        "window_seconds": str(settings.window),
        "commands": ", ".join(map(literal, settings.commands)),
        "amounts": " ".join(f"WHEN {literal(cmd)} THEN {_amount(member)}" for cmd, member in settings.commands.items()),
        "periods": " OR ".join(map(_is_in, *zip(*settings.periods, strict=True))),
    }


def _is_in(begin: int, end: int | None) -> str:
    """Whether a request is in a period: it arrived after its begin, and it or its first attempt before its end."""
    since = f"arrival >= TO_TIMESTAMP_LTZ({begin}, 0)"
    return since if end is None else f"{since} AND (arrival < TO_TIMESTAMP_LTZ({end}, 0) OR tried < {end * 1000})"


def _amount(member: str | None) -> str:
    """What a request adds; null where that is no whole number from 0 to 2^53-1, written as such."""
    if member is None:
        return "CAST(1 AS BIGINT)"
    name = member.replace("\\", "\\\\").replace("'", "\\'")
    path = literal(f"lax $['{name}']")
    value = f"JSON_QUERY(data, {path} WITH UNCONDITIONAL ARRAY WRAPPER)"  # a text in it has quotation marks
    text = f"REGEXP_EXTRACT({value}, '^\\[(0|[1-9][0-9]{{0,15}})\\]$', 1)"
    return f"NULLIF(LEAST(TRY_CAST({text} AS BIGINT), {MOST_AMOUNT + 1}), {MOST_AMOUNT + 1})"


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
