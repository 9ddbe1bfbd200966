"""`tidemill up`: the local platform until stopped.

Room: command line.
Tests: tests/e2e/test_up.py.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tidemill_cli.analytics import tools
from tidemill_cli.arguments.page import add_page, port
from tidemill_cli.arguments.parameters import SECRET, SECRET_VARIABLE, add_parameter, given
from tidemill_cli.commands.up.alarms import WatchedAlarms
from tidemill_cli.commands.up.function_log import FunctionLog
from tidemill_cli.commands.up.page import LocalFigures, served
from tidemill_cli.commands.up.rules import RulesWatch
from tidemill_cli.commands.up.stage import stage_of, with_stage
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.result_file import check_writable, json_text
from tidemill_deploy.packaging.application import BUILT_IN
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.template import TemplateError
from tidemill_event_source.files import UnreadableFile, write_whole
from tidemill_local import kept_parameters
from tidemill_local.deployment import DeploymentFailed, is_filled_in
from tidemill_local.emulator import DEFAULT_PORT, EmulatorError
from tidemill_local.patches.durability import state_files
from tidemill_local.platform import Platform
from tidemill_page import Answers, Figures, PageServer, as_json

POLL_SECONDS = 1.0

MAKE_SECRET = (
    f"; make one by: export {SECRET_VARIABLE}=" + '$(python3 -c "import secrets; print(secrets.token_urlsafe(32))")'
)
"""What to do where the template refuses a secret, or that there is none."""

QUIET_SECONDS = 10.0
"""Without a terminal, how often a change of the mappings' state is told at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--port", type=port, default=DEFAULT_PORT, help="on 127.0.0.1; 0 chooses a free one")
    parser.add_argument(
        "--rules",
        metavar="MODULE",
        help=f"the module that holds RULES (default: those of the --state folder, or {BUILT_IN}): seats for seats.py",
    )
    parser.add_argument("--reload", action="store_true", help="deploy the rules again whenever their files change")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help="keep everything in FOLDER and go on from there, even after a kill, with its rules and parameters",
    )
    parser.add_argument(
        "--analytics",
        action="store_true",
        help="run the analytics stage too, from now on (needs Java 17, `make analytics-env` and `make connector`)",
    )
    add_page(parser)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="keep endpoint, outputs, mappings' state and the page's figures in PATH",
    )
    add_parameter(
        parser,
        _why_filled_in,
        "BatchingWindowSeconds=1 or DirectEndpoint=on",
        f"{SECRET} is that of the variable {SECRET_VARIABLE}, if it is set",
    )
    parser.epilog = "example: tidemill up --rules shop.rules --reload --parameter BatchingWindowSeconds=1"


def run(args: argparse.Namespace) -> int:
    """Run until stopped by Ctrl-C or SIGTERM, which is how it is meant to end."""
    os.umask(0o077)  # what is kept has secrets in it
    expected = (EmulatorError, DeploymentFailed, PackagingError, TemplateError, UnreadableFile)
    return run_or_tell("up", lambda: _run(args), *expected)


def _run(args: argparse.Namespace) -> int:
    try:
        _run_until_stopped(args)
    except KeyboardInterrupt:
        _say("stopped")
    except DeploymentFailed as error:
        if SECRET not in str(error):
            raise
        raise CommandError(str(error).removesuffix(".") + MAKE_SECRET) from None
    return 0


def _run_until_stopped(args: argparse.Namespace) -> NoReturn:
    if args.json:
        check_writable(args.json)
    if args.state:
        state_files.check(args.state)
    needed = tools(None, None) if args.analytics else None
    parameters = with_stage(_parameters(args)) if needed else _parameters(args)
    watch = RulesWatch(parameters["Rules"])
    answers, since = Answers(), int(time.time() * 1000)
    with Platform(args.port, parameters, say=_say, heard=answers.heard, state=args.state) as platform:
        if args.state:
            kept_parameters.write(args.state, parameters)
        figures = LocalFigures(platform, answers, parameters.get(SECRET, ""))
        alarms = WatchedAlarms(platform.alarms())
        log = FunctionLog(platform.emulator.client("logs"), _log_groups(platform.outputs), since, figures.batches.heard)
        with stage_of(platform, needed, args.state, _say) as stage, served(figures, args.page) as page:
            _tell(platform, page)
            if parameters.get("AnalyticsPeriods") and not needed:
                _say("what is in Aggregatable is left to the analytics stage: `tidemill analytics run` runs it")
            with _shown() as show:
                while True:
                    platform.emulator.check()
                    mappings = list(_mappings(platform))
                    followed = _followed(watch, platform, reload=args.reload)
                    for line in (*log.new(), *followed, *alarms.changed(), *stage.changed()):
                        show.say(line)
                    now = replace(figures.take(), alarms=alarms.on)
                    show.update(mappings, _quarantined(now))
                    if page:
                        page.publish(now)
                    if args.json:
                        _write(args.json, platform, page, mappings, now)
                    time.sleep(POLL_SECONDS)


def _tell(platform: Platform, page: PageServer | None) -> None:
    for name, value in platform.emulator.environment.items():
        _say(f"export {name}={value}")
    for name, value in sorted(platform.outputs.items()):
        _say(f"  {name:<26} {value}")
    if page:
        _say(f"the figures, live: {page.address}")
    _say("running; Ctrl-C stops it")


def _why_filled_in(name: str) -> str | None:
    if name == "Rules":
        return "use --rules"
    return "the functions' code is made for this machine" if is_filled_in(name) else None


def _parameters(args: argparse.Namespace) -> dict[str, str]:
    """The parameters that are given, and for the others those of the folder's last platform."""
    named = given(args) | ({"Rules": args.rules} if args.rules else {})
    kept = kept_parameters.read(args.state) if args.state else {}
    if kept is None:
        kept = {}
        if "Rules" not in named and (args.state / "snapshot").exists():
            _say(f"{args.state} does not say with which rules it was run: now with {BUILT_IN}; --rules names others")
    again = {name: value for name, value in kept.items() if name not in named}
    if again:
        told = (f"{name}={'…' if name == SECRET else value}" for name, value in sorted(again.items()))
        _say(f"as {args.state} was run last: {', '.join(told)}")
    return {"Rules": BUILT_IN, **kept, **named}


def _log_groups(outputs: Mapping[str, str]) -> dict[str, str]:
    """The log groups of the stack's functions, by what their lines begin with."""
    wanted = {"apply": "ApplyLogGroupName", "direct": "DirectLogGroupName"}
    return {label: outputs[output] for label, output in wanted.items() if output in outputs}


def _followed(watch: RulesWatch, platform: Platform, *, reload: bool) -> Iterator[str]:
    """Load rules again whose files have changed, or say that they have; yields lines to show."""
    if not watch.have_changed():
        return
    if not reload:
        yield f"the files of {watch.rules} have changed; what runs has not: start again, or use --reload"
        return
    try:
        platform.reload()
    except (PackagingError, DeploymentFailed, ClientError, BotoCoreError) as error:
        yield f"{watch.rules} is not loaded again, and runs on as it was: {error}"
    else:
        yield f"{watch.rules} is loaded again"


def _mappings(platform: Platform) -> Iterator[dict[str, Any]]:
    """The state of each event source mapping."""
    for source in platform.event_sources:
        counts = source.counts
        yield {
            "uuid": source.config.uuid,
            "source": source.config.stream_arn.split(":", 5)[5],
            "function": source.config.function_arn.rpartition(":")[2],
            "invocations": counts.invocations,
            "errors": counts.errors,
            "throttles": counts.throttles,
            "records": counts.records,
            "discarded": counts.discarded,
            "waiting": source.waiting,
            "iterator_age_ms": round(counts.iterator_age * 1000),
            "last_result": counts.last_result,
        }


class _Lines:
    """Tells of the mappings by a line each, when something has changed."""

    def __init__(self) -> None:
        self._told: list[dict[str, Any]] = []
        self._quarantined: str | None = None
        self._at = time.monotonic()

    def say(self, line: str) -> None:
        _say(line)

    def update(self, mappings: list[dict[str, Any]], quarantined: str | None) -> None:
        if quarantined and quarantined != self._quarantined:
            self._quarantined = quarantined
            _say(quarantined)
        busy = [one for one in mappings if one not in self._told and one["invocations"]]
        if busy and time.monotonic() - self._at >= QUIET_SECONDS:
            self._told, self._at = mappings, time.monotonic()
            for one in busy:
                _say(
                    f"{one['source']} -> {one['function']}: {one['invocations']:,} invocations, {one['errors']:,} "
                    f"errors, {one['records']:,} records, {one['waiting']:,} waiting, iterator age "
                    f"{one['iterator_age_ms']:,} ms, last result {one['last_result']}"
                )


class _LiveTable:
    """Shows the mappings as a table that stays where it is."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def say(self, line: str) -> None:
        self._live.console.print(Text(line), soft_wrap=True)

    def update(self, mappings: list[dict[str, Any]], quarantined: str | None) -> None:
        names = ("source", "function", "invocations", "errors", "records", "waiting", "iterator_age_ms", "last_result")
        table = Table(box=None, pad_edge=False, caption=quarantined, caption_justify="left")
        for name in names:
            table.add_column(name.replace("_", " "), justify="left" if name in ("source", "function") else "right")
        for one in mappings:
            table.add_row(*(f"{one[name]:,}" if isinstance(one[name], int) else one[name] for name in names))
        self._live.update(table)


@contextmanager
def _shown() -> Iterator[_Lines | _LiveTable]:
    console = Console()
    if console.is_terminal:
        with Live(console=console, refresh_per_second=2) as live:
            yield _LiveTable(live)
    else:
        yield _Lines()


def _quarantined(figures: Figures) -> str | None:
    """How many requests were quarantined so far, and whether any is there now; None if none was."""
    if not figures.quarantined:
        return None
    there = "tidemill redrive lists what is there" if figures.newest_quarantined else "none is there now"
    return f"{figures.quarantined:,} quarantined since the start; {there}"


def _write(
    path: Path, platform: Platform, page: PageServer | None, mappings: list[dict[str, Any]], figures: Figures
) -> None:
    state = {
        "endpoint": platform.emulator.endpoint_url,
        "outputs": dict(platform.outputs),
        "mappings": mappings,
        "quarantined": figures.quarantined,
        "page": page.address if page else None,
        "figures": as_json(figures),
    }
    write_whole(path, json_text(state).encode())


def _say(text: str) -> None:
    print(text, flush=True)
