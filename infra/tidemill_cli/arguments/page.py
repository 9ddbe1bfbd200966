"""Arguments of the commands that serve the page of figures.

Room: command line. Imports nothing of it: `--help` needs no server.
Tests: tests/e2e/test_page.py.
"""

from __future__ import annotations

import argparse

MAX_PORT = 65_535


def add_page(parser: argparse.ArgumentParser) -> None:
    """The arguments that say where the page is served, `page` None if nowhere."""
    parser.add_argument(
        "--page",
        type=port,
        default=0,
        metavar="PORT",
        help="serve the page of figures there, on 127.0.0.1; 0 chooses a free one, which is the default",
    )
    parser.add_argument("--no-page", dest="page", action="store_const", const=None, help="serve no page")


def port(text: str) -> int:
    """A port, or 0."""
    if not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to {MAX_PORT}")
    return int(text)
