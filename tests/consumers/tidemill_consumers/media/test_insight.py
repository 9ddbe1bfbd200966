"""The rules for what the analytics stage sees. Values only."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill_consumers.media import RULES
from tidemill_consumers.media.insight import EARLIER
from tidemill_consumers.testing import Trial

FIRST = {"place": 1, "key": "content/1", "views": 9}
SECOND = {"place": 2, "key": "content/2", "views": 7}


def listed(of: int, since: int, *top: dict[str, Any]) -> dict[str, Any]:
    return {"of": of, "from": since, "top": list(top)}


def test_the_latest_list_is_kept_by_place() -> None:
    media = Trial(RULES)
    assert (
        media.send("content.top", key="top/1h", data=listed(120, 0, SECOND, FIRST), internal=True).status == "accepted"
    )
    assert media.document("top/1h") == listed(120, 0, FIRST, SECOND)
    media.send("content.top", key="top/1h", data=listed(180, 0, SECOND), internal=True)
    assert media.document("top/1h") == listed(180, 0, SECOND)


@pytest.mark.parametrize(
    ("of", "since", "counts"), [(60, 0, False), (120, 60, False), (120, 90, False), (120, 0, True), (180, 90, True)]
)
def test_a_job_that_counts_anew_replaces_no_later_or_fuller_list(of: int, since: int, counts: bool) -> None:
    media = Trial(RULES, {"top/1h": listed(120, 60, FIRST)})
    reply = media.send("content.top", key="top/1h", data=listed(of, since, SECOND), internal=True)
    assert (reply.status, reply.error) == (("accepted", None) if counts else ("rejected", EARLIER))


def test_alerts_about_a_client_are_counted_once_a_window() -> None:
    media = Trial(RULES)
    for of in (60, 120, 120, 60):
        data = {"of": of, "client": "bob", "requests": 500, "before": 20}
        media.send("client.alert", key="alert/bob", data=data, internal=True)
    assert media.document("alert/bob") == {"of": 120, "client": "bob", "requests": 500, "before": 20, "alerts": 2}


@pytest.mark.parametrize("cmd", ["content.top", "client.alert"])
def test_only_the_application_itself_may_say_so(cmd: str) -> None:
    assert Trial(RULES).send(cmd, key="top/1h", data=listed(1, 0)).status == "quarantined"
