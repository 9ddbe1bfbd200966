"""The trial of rules, as a package for this machine holds them."""

from pathlib import Path

import pytest

from tidemill_deploy.packaging.application import find, own_files
from tidemill_deploy.packaging.contents import together, without_models
from tidemill_deploy.packaging.errors import RulesNotFound
from tidemill_deploy.packaging.functions import FUNCTIONS
from tidemill_deploy.packaging.installed import installed
from tidemill_deploy.packaging.trial import Table, try_rules

THIRD_PARTY = installed("signing", None)


def code_of(rules: str) -> dict[str, bytes]:
    files = together(without_models(THIRD_PARTY, FUNCTIONS[0].services), own_files(), find(rules).files)
    return {name: path.read_bytes() for name, path in files.items()}


USABLE = {
    "plain": "RULES = {}",
    "of its own kind": "import collections\nRULES = collections.ChainMap()",
    "with what functions have": "import boto3\nboto3.client('sns')\nfrom tidemill_consumers.media import RULES",
    "with a module beside it": "import beside\nRULES = {}",
    "with a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=[60]).start()\nRULES = {}",
}

UNUSABLE = {
    "RULES = {(": r"SyntaxError: .* \(tried_rules\.py, line 1\)",
    "import nothing_of_that_name": "ModuleNotFoundError: No module named 'nothing_of_that_name'.*requirements.txt",
    # It is beside the module, and no import statement says so.
    "import importlib\nimportlib.import_module('beside')": "ModuleNotFoundError: No module named 'beside'",
    # It is installed here, and nothing says that the rules need it.
    "import pytest": "ModuleNotFoundError: No module named 'pytest'.*requirements.txt",
    "import boto3\nboto3.client('sqs')": "UnknownServiceError: .* a boto3 in a requirements.txt",
    "raise ValueError('two\\nlines')": r"ValueError: two lines \(tried_rules\.py:1\)",
    "import json\njson.loads('{')": r"JSONDecodeError: .* \(tried_rules\.py:2\)",
    "import sys\nsys.exit()": "SystemExit:",
    "import os\nos._exit(3)": "Python ended with 3",
    "": "it has no RULES",
    "RULES = ['a']": "RULES is no mapping .* but a list",
    "RULES = {'a.b': 5}": r"RULES\['a\.b'\] is int, and must be a function",
    "def f(state): pass\nRULES = {'a.b': f}": r"RULES\['a\.b'\] takes \(state\) \(tried_rules\.py:1, in f\), and must",
}


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of rules, to be written."""
    (tmp_path / "beside.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tried_rules.py"


@pytest.mark.parametrize("text", USABLE.values(), ids=USABLE)
def test_rules_that_can_be_had_pass(tried: Path, text: str) -> None:
    tried.write_text(text)
    try_rules("tried_rules", code_of("tried_rules"))


@pytest.mark.parametrize("text", UNUSABLE)
def test_rules_that_cannot_be_had_are_refused_with_the_reason(tried: Path, text: str) -> None:
    tried.write_text(text)
    with pytest.raises(RulesNotFound, match=f"the module tried_rules has no rules to run: {UNUSABLE[text]}"):
        try_rules("tried_rules", code_of("tried_rules"))


def test_it_tells_the_commands_and_those_that_the_stage_counts_whatever_the_module_prints(tried: Path) -> None:
    tried.write_text(
        """
from tidemill_consumers import Accepted, Aggregatable
print('{"content.view": "nonsense"}', flush=True)
def add(state, amount): return Accepted({"count": (state or {}).get("count", 0) + amount})
def put(state, request): return Accepted({})
RULES = {"item.view": Aggregatable(add), "cart.add": Aggregatable(add, sum="count"), "item.put": put}
"""
    )
    sums: dict[str, str | None] = {"item.view": None, "cart.add": "count"}
    assert try_rules("tried_rules", code_of("tried_rules")) == Table(frozenset({*sums, "item.put"}), sums)


def test_rules_that_never_load_are_refused(tried: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_deploy.packaging.trial.TRIAL_SECONDS", 0.5)
    tried.write_text("import time\ntime.sleep(60)")
    with pytest.raises(RulesNotFound, match="not loaded after"):
        try_rules("tried_rules", code_of("tried_rules"))
