"""The zip of the functions' code."""

import io
import os
import zipfile
from pathlib import Path

import pytest

from tidemill_local.function_code import BUILT_IN, RulesNotFound, build, files_of, try_rules

OWN = "tidemill_consumers"


def names(code: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(code)).namelist()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package with rules, in the current directory."""
    package = tmp_path / "shop"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__" / "rules.cpython-311.pyc").write_bytes(b"")
    (package / ".secret").write_text("")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "rules.py").write_text("RULES = {}")
    (package / "prices.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return package


def test_holds_the_first_party_packages_and_nothing_else() -> None:
    found = names(build(OWN))
    assert "tidemill/contract/request.py" in found
    assert f"{OWN}/core/__init__.py" in found
    assert {name.split("/")[0] for name in found} == {"tidemill", OWN}
    assert not [name for name in found if "__pycache__" in name]


def test_brings_the_users_package_without_running_it(shop: Path) -> None:
    found = names(build("shop.rules"))
    assert [name for name in found if name.startswith("shop/")] == [
        "shop/__init__.py",
        "shop/prices.json",
        "shop/rules.py",
    ]


def test_brings_a_single_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lonely_rules.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert "lonely_rules.py" in names(build("lonely_rules"))


def test_brings_the_modules_beside_it_that_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any remove and from within functions; not what nobody imports, what is installed, or Python's own."""
    (tmp_path / "seats.py").write_text("import boto3, prices\nRULES = {}\ndef later():\n    from rows import low")
    (tmp_path / "prices.py").write_text("from money.units import cent\nimport seats, json")
    (tmp_path / "money").mkdir()
    (tmp_path / "money" / "units.py").write_text("cent = 1")
    (tmp_path / "rows.py").write_text("low = (")
    (tmp_path / "json.py").write_text("")
    (tmp_path / "stranger.py").write_text("")
    monkeypatch.chdir(tmp_path)
    own = {name for name in names(build("seats")) if name.split("/")[0] not in {"tidemill", OWN}}
    assert own == {"seats.py", "prices.py", "money/units.py", "rows.py"}
    assert {Path(path).name for path in files_of("seats")} == {"seats.py", "prices.py", "units.py", "rows.py"}


def test_same_sources_same_bytes(shop: Path) -> None:
    before = build("shop.rules")
    os.utime(shop / "rules.py", (1, 1))
    assert build("shop.rules") == before
    (shop / "rules.py").write_text("RULES = {1: 2}")
    assert build("shop.rules") != before


@pytest.mark.parametrize("rules", ["nowhere_at_all.rules", "shop.rule", f"{OWN}.nothing"])
def test_a_module_that_is_not_there_is_named_with_where_it_was_sought(shop: Path, rules: str) -> None:
    with pytest.raises(RulesNotFound, match=rf"no module {rules}, neither in .*PYTHONPATH"):
        build(rules)


@pytest.mark.parametrize(
    ("rules", "remedy"),
    [
        ("seats.py", "--rules seats"),
        ("shop/rules.py", "--rules shop.rules"),
        ("./seats.py", "--rules seats"),
        ("../seats.py", r"--rules seats, from the folder \.\."),
        ("/srv/seats.py", "--rules seats, from the folder /srv"),
        ("app\\seats", "not by their file"),
        ("", "'' is no name of a module"),
        (".shop", "'.shop' is no name of a module"),
        ("my-shop", "'my-shop' is no name of a module"),
    ],
)
def test_what_is_no_module_is_told_how_it_is_named(rules: str, remedy: str) -> None:
    with pytest.raises(RulesNotFound, match=remedy):
        build(rules)


def test_the_files_of_a_package_are_known_by_size_and_time(shop: Path) -> None:
    before = files_of("shop.rules")
    assert {Path(name).name for name in before} == {"__init__.py", "rules.py", "prices.json"}
    os.utime(shop / "rules.py", (1, 1))
    after = files_of("shop.rules")
    assert [Path(name).name for name in after if after[name] != before[name]] == ["rules.py"]


USABLE = {
    "plain": "RULES = {}",
    "of its own kind": "import collections\nRULES = collections.ChainMap()",
    "with what functions have": "import boto3\nboto3.client('sqs')\nfrom tidemill_consumers.media import RULES",
    "with a module beside it": "import beside\nRULES = {}",
    "with a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=[60]).start()\nRULES = {}",
}

UNUSABLE = {
    "RULES = {(": r"SyntaxError: .* \(tried_rules\.py, line 1\)",
    "import nothing_of_that_name": "ModuleNotFoundError: No module named 'nothing_of_that_name'",
    # It is beside the module, and no import statement says so.
    "import importlib\nimportlib.import_module('beside')": "ModuleNotFoundError: No module named 'beside'",
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
    try_rules("tried_rules", build("tried_rules"))


@pytest.mark.parametrize("text", UNUSABLE)
def test_rules_that_cannot_be_had_are_refused_with_the_reason(tried: Path, text: str) -> None:
    tried.write_text(text)
    with pytest.raises(RulesNotFound, match=f"the module tried_rules has no rules to run: {UNUSABLE[text]}"):
        try_rules("tried_rules", build("tried_rules"))


def test_rules_that_never_load_are_refused(tried: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_local.function_code.TRIAL_SECONDS", 0.5)
    tried.write_text("import time\ntime.sleep(60)")
    with pytest.raises(RulesNotFound, match="not loaded after"):
        try_rules("tried_rules", build("tried_rules"))


def test_the_built_in_rules_need_no_trial() -> None:
    try_rules(BUILT_IN, b"no zip")
