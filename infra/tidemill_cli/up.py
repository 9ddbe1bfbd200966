"""`tidemill up`: the local platform until stopped.

Room: command line.
"""

from __future__ import annotations

import argparse
import sys
import time

from tidemill_local.deployment import DeploymentFailed
from tidemill_local.emulator import DEFAULT_PORT, EmulatorError
from tidemill_local.function_code import RulesNotFound
from tidemill_local.platform import Platform

POLL_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="on 127.0.0.1; 0 chooses a free one")
    parser.add_argument("--rules", default="tidemill_consumers.rules", help="the module that holds RULES")
    parser.epilog = "example: tidemill up --rules shop.rules"


def run(args: argparse.Namespace) -> int:
    """Run until stopped by Ctrl-C or SIGTERM, which is how it is meant to end."""
    try:
        with Platform(args.port, {"Rules": args.rules}, say=_say) as platform:
            _say(f"AWS_ENDPOINT_URL={platform.emulator.endpoint_url}")
            for name, value in sorted(platform.outputs.items()):
                _say(f"  {name:<26} {value}")
            _say("running; Ctrl-C stops it")
            while True:
                platform.emulator.check()
                time.sleep(POLL_SECONDS)
    except (EmulatorError, DeploymentFailed, RulesNotFound) as error:
        print(f"tidemill up: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        _say("stopped")
        return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
