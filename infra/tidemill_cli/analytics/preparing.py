"""A job of the stage for a stack, ready to start: its properties, and from where it goes on.

Room: command line, I/O.
Tests: tests/analytics_sql/stream/platform.py, which needs PyFlink.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tidemill_cli.analytics.beginning import Beginning, begin_of, beginning
from tidemill_cli.analytics.folder import StateFolder
from tidemill_cli.analytics.job import Job, options
from tidemill_cli.analytics.stack import Stack, commands_of, rules_of, stages_of
from tidemill_cli.analytics.tools import Tools
from tidemill_cli.errors import CommandError
from tidemill_cli.stack import Access
from tidemill_stream import FLINK_GROUP, GROUP, Settings
from tidemill_stream.retention import OUTAGE_SECONDS
from tidemill_stream.settings import generation_name, periods_in


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a job shall run.

    Attributes:
        window: seconds of a window.
        begin: where a new generation's first window begins; None: where the first period does.
        generation: its name; None: by the time.
        rules: the module of the rules; None: the stack's.
        parallelism: subtasks of each part.
        every: seconds between checkpoints.
        heap: MiB of the JVM's heap.
    """

    window: int = 10
    begin: int | None = None
    generation: str | None = None
    rules: str | None = None
    parallelism: int = 1
    every: int = 10
    heap: int = 512


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that is not started yet; what to tell before it is, and after."""

    job: Job
    told: str
    runs: str


def prepared(tools: Tools, where: Access, stack: Stack, wanted: Wanted, folder: StateFolder) -> Prepared:
    """The job for a stack, on the state in the folder if it can go on from it. The folder then keeps its properties.

    Raises:
        CommandError: the rules are not to be found or have nothing to add up, or the folder's files cannot be read.
        InvalidSettings: an argument does not go with the others.
    """
    now = time.time()
    new = generation_name(now, secrets.token_hex(3))
    properties = _properties(wanted, stack, where.endpoint("kinesis"))
    begins = beginning(properties, folder.kept(now), wanted.generation, new, OUTAGE_SECONDS)
    settings = Settings.read(begins.properties)
    folder.keep(begins.properties)
    if begins.checkpoint is None:
        folder.forget_checkpoints()
    flink = options(tools, folder, begins.checkpoint, wanted.parallelism, wanted.every)
    job = Job(tools, folder, {GROUP: settings.properties, FLINK_GROUP: flink}, _environment(where), wanted.heap)
    runs = f"it runs: {', '.join(settings.stages)}; windows of {settings.window} s; log {folder.log}"
    return Prepared(job, f"{_told(begins)}; it starts, which takes some 20 seconds", runs)


@contextmanager
def state_folder(path: Path | None) -> Iterator[StateFolder]:
    """The folder at a path; None: one that is deleted at the end."""
    with ExitStack() as opened:
        if path is None:
            made = TemporaryDirectory(prefix="tidemill-analytics-", ignore_cleanup_errors=True)
            path = Path(opened.enter_context(made))
        folder = StateFolder(path)
        opened.callback(folder.close)
        yield folder


def _properties(wanted: Wanted, stack: Stack, endpoint: str | None) -> dict[str, str]:
    rules = rules_of(wanted.rules or stack.rules)
    commands = commands_of(rules)
    if not commands:
        raise CommandError(f"{wanted.rules or stack.rules}: no rule is in Aggregatable, so there is nothing to add up")
    begin = begin_of(periods_in(stack.periods), wanted.window) if wanted.begin is None else wanted.begin
    return {
        "begin": str(begin),
        "commands": json.dumps(commands),
        "periods": stack.periods,
        "horizon.seconds": stack.horizon,
        "window.seconds": str(wanted.window),
        "stages": ",".join(stages_of(rules)),
        "stream.arn": stack.streams[0],
        "stream.created": stack.created,
        "aggregated.arn": stack.streams[1],
        **({"aws.endpoint": endpoint} if endpoint else {}),
    }


def _environment(where: Access) -> dict[str, str]:
    """The variables by which AWS's SDK for Java has the same access."""
    given = {
        "AWS_REGION": where.region,
        "AWS_ACCESS_KEY_ID": where.access_key,
        "AWS_SECRET_ACCESS_KEY": where.secret_key,
        "AWS_SESSION_TOKEN": where.session_token,
    }
    return {name: value for name, value in given.items() if value}


def _told(begins: Beginning) -> str:
    generation = begins.properties["generation"]
    if begins.checkpoint:
        return f"generation {generation} goes on from {Path(begins.checkpoint).name}"
    anew = f"generation {generation} counts from {begins.properties['begin']} on"
    return f"{begins.why}: {anew}" if begins.why else anew
