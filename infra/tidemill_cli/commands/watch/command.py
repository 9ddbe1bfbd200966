"""`tidemill watch`: the page of figures for a stack on AWS, by CloudWatch.

Room: command line.
Tests: tests/e2e/test_watch.py.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from tidemill import Misconfigured
from tidemill_cli.arguments.page import port
from tidemill_cli.commands.redrive.place import place_of
from tidemill_cli.commands.up.quarantine import WatchedQuarantine
from tidemill_cli.commands.watch.stack_figures import StackFigures, failed
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.producers import kinesis_of_producer
from tidemill_cli.result_file import check_writable, json_text
from tidemill_cli.stack import STACK, outputs_or_remedy
from tidemill_event_source.files import write_whole
from tidemill_page import Figures, PageServer, as_json
from tidemill_page.cloudwatch import dollars_an_hour, metrics

LOOK_SECONDS: Final = 60.0
"""Between two looks: CloudWatch counts whole minutes, and each metric that it is asked for costs money."""

POLL_SECONDS: Final = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument(
        "--page", type=port, default=0, metavar="PORT", help="serve the page there, on 127.0.0.1; 0 chooses a free one"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="keep the figures in PATH")
    parser.epilog = (
        "CloudWatch is asked once a minute, and only while a page is open or --json is given: about "
        f"${dollars_an_hour(len(metrics('', '', []))):.3f} an hour, and more with metrics of shards. "
        "example: tidemill watch --stack shop"
    )


def run(args: argparse.Namespace) -> int:
    """Run until stopped by Ctrl-C or SIGTERM, which is how it is meant to end."""
    os.umask(0o077)  # what --json keeps has clients' keys in it
    return run_or_tell("watch", lambda: _run(args), Misconfigured)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    place = place_of(argparse.Namespace(stack=args.stack, bucket=None, stream=None, apply=True))
    client = place.access.client
    quarantine = WatchedQuarantine(
        client("s3"),
        place.bucket,
        place.objects,
        place.stream,
        lambda: kinesis_of_producer(place.access),
        seconds=LOOK_SECONDS,
    )
    outputs = outputs_or_remedy(place.access, args.stack, "another")
    taker = StackFigures(outputs, client("cloudwatch"), client("kinesis"), client("lambda"), quarantine)
    server = PageServer(f"the stack {args.stack or STACK}", args.page, quarantine.redrive)
    try:
        server.start()
    except OSError as error:
        raise CommandError(f"the page cannot be served at port {args.page}: {error.strerror}") from None
    try:
        _follow(args, taker, quarantine, server)
    except KeyboardInterrupt:
        print("stopped", flush=True)
    finally:
        server.stop()
    return 0


def _follow(args: argparse.Namespace, taker: StackFigures, quarantine: WatchedQuarantine, server: PageServer) -> None:
    figures = taker.take()
    looked_at = time.monotonic()
    _show(args.json, server, figures)
    cost = f"${dollars_an_hour(taker.count):.3f} an hour"
    print(f"the figures, live: {server.address}")
    print(f"CloudWatch is asked for {taker.count} metrics once a minute while the page is open: {cost}")
    print("running; Ctrl-C stops it", flush=True)
    while True:
        time.sleep(POLL_SECONDS)
        if quarantine.has_changed:
            figures = replace(figures, newest_quarantined=tuple(quarantine.newest()))
            _show(args.json, server, figures)
        if time.monotonic() - looked_at < LOOK_SECONDS or not (args.json or server.followers):
            continue
        try:
            figures = taker.take()
        except (ClientError, BotoCoreError) as error:
            figures = failed(figures, error)
        looked_at = time.monotonic()
        _show(args.json, server, figures)


def _show(path: Path | None, server: PageServer, figures: Figures) -> None:
    server.publish(figures)
    if path:
        write_whole(path, json_text({"page": server.address, "figures": as_json(figures)}).encode())
