"""The application from its environment, and an invocation's time. The shared steps are held by test_apply.py."""

import pytest

from tests.values import Context
from tidemill_consumers.composition import application, half_of


def test_a_variable_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_RULES", raising=False)
    application.cache_clear()
    with pytest.raises(KeyError, match="TIDEMILL_RULES"):
        application()


def test_half_of_an_invocations_time_is_for_beginning_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.composition.monotonic", lambda: 1000.0)
    assert half_of(Context()).until == 1060.0
