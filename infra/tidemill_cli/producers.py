"""The producers of commands: their Kinesis client, and their end.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_send.py.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tidemill import GivenUp, Producer, StillPending
from tidemill_cli.stack import Access

if TYPE_CHECKING:
    from botocore.config import Config


def kinesis_of_producer(where: Access) -> Any:
    """A Kinesis client for a Producer."""
    return where.client("kinesis", once())


def once() -> Config:
    """The settings of a Producer's client, for the Producer itself sends again what was refused."""
    from botocore.config import Config  # here: `--help` needs no AWS

    return Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=20)


def close(producer: Producer, timeout: float = 0.0) -> None:
    """Close a producer whose command tells by count which requests were given up; the log has them too.

    Args:
        producer: by now all that it sent is acknowledged, or nobody is left to wait for.
        timeout: seconds that it may take to send what is left.
    """
    with suppress(StillPending, GivenUp):
        producer.close(timeout)
