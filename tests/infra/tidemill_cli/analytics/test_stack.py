"""What the stage reads of an application's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill_cli.analytics.stack import commands_of, rules_of, stages_of
from tidemill_cli.errors import CommandError
from tidemill_consumers import Accepted, Aggregatable, State
from tidemill_consumers.media import RULES


def add(state: State, amount: int) -> Accepted:
    return Accepted({"count": amount})


def test_the_aggregatable_commands_and_what_they_sum() -> None:
    assert commands_of(RULES) == {"content.view": None, "content.like": None}
    assert commands_of({**RULES, "cart.add": Aggregatable(add, sum="count")})["cart.add"] == "count"


def test_only_stages_run_whose_requests_the_rules_take() -> None:
    assert stages_of(RULES) == ("coalesce", "top_content", "anomalies")
    assert stages_of({"cart.add": Aggregatable(add)}) == ("coalesce",)
    assert stages_of({"client.alert": add}) == ("coalesce", "anomalies")


def test_rules_are_looked_for_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "carts_of_a_test.py").write_text("RULES = {'cart.add': lambda state, request: None}\n")
    (tmp_path / "no_rules_of_a_test.py").write_text("")
    (tmp_path / "wrong_rules_of_a_test.py").write_text("RULES = {'cart.add': 7}\n")
    assert list(rules_of("carts_of_a_test")) == ["cart.add"]
    with pytest.raises(CommandError, match="name their module by --rules"):
        rules_of("absent_of_a_test")
    with pytest.raises(CommandError, match="has no RULES"):
        rules_of("no_rules_of_a_test")
    with pytest.raises(CommandError, match=r"RULES\['cart.add'\] is int"):
        rules_of("wrong_rules_of_a_test")
