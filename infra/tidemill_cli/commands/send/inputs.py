"""The input of `tidemill send`: a request's data as an argument or a file, and the file of requests.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_send.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tidemill import RefusedRequest
from tidemill.contract.claim_check import MAX_DATA_BYTES
from tidemill.contract.request import Document, decode_json
from tidemill_cli.errors import CommandError

MOST_SHOWN = 80
"""Characters of refused data that are told."""

MOST_READ = 4 * MAX_DATA_BYTES
"""Bytes that are read of a file with data: what is indented is larger than the JSON that is sent."""

STANDARD_INPUT = "-"


def data_of(text: str) -> Document:
    """The JSON object in an argument.

    Raises:
        CommandError: there is none.
    """
    shown = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
    try:
        value = decode_json(text.encode())
    except RefusedRequest as error:
        raise CommandError(f"the data {shown!r}: {error}; quote it for the shell: '{{\"stars\": 5}}'") from None
    if not isinstance(value, dict):
        raise CommandError(f'{shown!r} is no JSON object such as {{"stars": 5}}')
    return value


def data_in(path: str) -> Document:
    """The JSON object in a file.

    Args:
        path: the file's, or "-" for standard input.

    Raises:
        CommandError: it cannot be read, is too large, or holds none.
    """
    name = "standard input" if path == STANDARD_INPUT else path
    with open_input(path) as file:
        text = file.read(MOST_READ + 1)
    if len(text) > MOST_READ:
        raise CommandError(
            f"{name} has more than {MOST_READ} bytes, and {MAX_DATA_BYTES} of JSON are the most; upload a file by "
            "itself, and name it in the data"
        )
    try:
        value = decode_json(text)
    except RefusedRequest as error:
        raise CommandError(f"{name}: {error}") from None
    if not isinstance(value, dict):
        raise CommandError(f'{name} holds no JSON object such as {{"stars": 5}}')
    return value


@contextmanager
def open_input(path: str) -> Iterator[IO[bytes]]:
    """The file, or standard input for "-".

    Raises:
        CommandError: it cannot be opened.
    """
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - an error in reading is not one in opening
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    with file:
        yield file
