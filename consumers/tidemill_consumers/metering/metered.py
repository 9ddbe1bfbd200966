"""The functions with a meter on DynamoDB: each invocation logs its usage.

Room: composition root, for load tests, which set a function's Handler to this module's while they measure.
"""

from __future__ import annotations

import json
import os
from functools import cache

import boto3

from tidemill_consumers import apply, direct
from tidemill_consumers.codec.events import KinesisEvent
from tidemill_consumers.composition import Context, application, is_entry_point
from tidemill_consumers.metering.capacity import LINE, Meter


@cache
def meter() -> Meter:
    """The meter on every DynamoDB client that the default session makes from now on."""
    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION is not None, "it was made just now"  # noqa: S101
    return Meter(boto3.DEFAULT_SESSION.events, os.environ.get("TIDEMILL_FORGOTTEN_WRITERS_TABLE"))


def apply_handler(event: KinesisEvent, context: Context) -> apply.Response:
    """The apply function's metered entry point."""
    meter()  # before the clients are made
    try:
        return apply.handler(event, context)
    finally:
        _say()


def direct_handler(event: direct.HttpEvent, context: Context) -> direct.HttpResponse:
    """The direct function's metered entry point."""
    meter()
    try:
        return direct.handler(event, context)
    finally:
        _say()


def _say() -> None:
    print(LINE, json.dumps(meter().take()._asdict()))  # noqa: T201 # the log is where it is read


if is_entry_point(f"{__name__}.{apply_handler.__name__}"):
    meter()  # before the clients are made
    application()
if is_entry_point(f"{__name__}.{direct_handler.__name__}"):
    meter()
    application(is_direct=True)
