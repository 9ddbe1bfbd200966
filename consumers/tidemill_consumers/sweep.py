"""The sweep function: once a week it deletes the objects that no document names any more.

Room: composition root, beside apply and direct. What is swept, and why that is safe, says operations/sweep.py.
"""

from __future__ import annotations

import logging
import os
from time import monotonic
from typing import TypedDict

import boto3
from botocore.config import Config

from tidemill_consumers.composition import Context
from tidemill_consumers.core.batch import UNLIMITED, Time
from tidemill_consumers.operations.sweep import Sweep

SPARE_SECONDS = 30.0
"""Seconds of the invocation in which nothing more is begun: a call and its repetitions end in them."""

log = logging.getLogger(__name__)


class Swept(TypedDict):
    """The counts of a sweep: names of old objects, those that nothing names; versions deleted, and their bytes."""

    old: int
    unnamed: int
    deleted: int
    bytes: int


def swept(sweep: Sweep, time: Time = UNLIMITED) -> Swept:
    """Sweep once.

    Raises:
        Unfinished: the time did not suffice to look at everything.
    """
    old = sweep.find(time)
    result: Swept = {"old": len(old), "unnamed": old.unnamed, "deleted": 0, "bytes": 0}
    for gone in sweep.delete(sweep.unnamed(old, time)):
        result["deleted"] += len(gone)
        result["bytes"] += sum(one.size for one in gone)
    return result


def handler(event: object, context: Context) -> Swept:
    """Lambda's entry point."""
    until = monotonic() + context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS
    result = swept(of_environment(), Time(monotonic, until))
    log.info("%(deleted)d of %(old)d old objects deleted, %(bytes)d bytes", result)
    return result


def of_environment() -> Sweep:
    """The sweep that the environment variables describe.

    Raises:
        KeyError: a variable is missing.
    """
    env, config = os.environ, Config(retries={"mode": "standard"})
    return Sweep(
        boto3.client("s3", config=config),
        env["TIDEMILL_CONTENT_BUCKET"],
        boto3.client("dynamodb", config=config),
        env["TIDEMILL_TABLE"],
        float(env["TIDEMILL_RETENTION_HOURS"]) * 3600,
    )
