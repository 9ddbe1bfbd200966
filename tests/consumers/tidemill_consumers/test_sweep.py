"""The sweep function over the emulator: what it answers, and the environment that it is made of."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tidemill_consumers.core.batch import Blob, ref
from tidemill_consumers.operations.sweep import DAY, Sweep
from tidemill_consumers.sweep import handler, swept
from tidemill_local.emulator import Emulator

HOUR = 3_600.0


class Context:
    """Fifteen minutes."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def test_it_answers_what_it_found_and_deleted(emulator: Emulator, content_bucket: str, table: str) -> None:
    s3, dynamodb = emulator.client("s3"), emulator.client("dynamodb")
    for data in (b"named", b"orphan", b"lost"):
        s3.put_object(Bucket=content_bucket, Key=ref(Blob(data))["object"], Body=data)
    item: Any = {"pk": {"S": "k"}, "doc": {"M": {"picture": {"S": ref(Blob(b"named"))["object"]}}}}
    dynamodb.put_item(TableName=table, Item=item)
    later = Sweep(s3, content_bucket, dynamodb, table, HOUR, clock=lambda: time.time() + HOUR + DAY + 60.0)
    assert swept(later) == {"old": 3, "unnamed": 2, "deleted": 2, "bytes": len(b"orphan") + len(b"lost")}
    assert swept(later) == {"old": 1, "unnamed": 0, "deleted": 0, "bytes": 0}


def test_the_handler_sweeps_the_bucket_and_table_of_its_environment(
    emulator: Emulator, content_bucket: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        **emulator.environment,
        "TIDEMILL_CONTENT_BUCKET": content_bucket,
        "TIDEMILL_TABLE": table,
        "TIDEMILL_RETENTION_HOURS": "24",
    }.items():
        monkeypatch.setenv(name, value)
    emulator.client("s3").put_object(Bucket=content_bucket, Key=ref(Blob(b"young"))["object"], Body=b"young")
    assert handler({}, Context()) == {"old": 0, "unnamed": 0, "deleted": 0, "bytes": 0}
