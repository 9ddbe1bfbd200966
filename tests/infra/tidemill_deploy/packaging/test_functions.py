"""The table of functions agrees with the template, with the locks, and with what makes these."""

import re
from collections import defaultdict
from pathlib import Path

from tests.tree import ROOT
from tidemill_deploy.packaging.functions import ARCHITECTURES, FUNCTIONS, SHARED, functions, unheard_photos
from tidemill_deploy.packaging.wheels import LOCKS
from tidemill_deploy.template import FUNCTION_TYPES, load, template_path

TEMPLATE = load(template_path())


def pins(lock: Path) -> dict[str, set[str]]:
    """Pinned package -> hashes."""
    found, name = defaultdict(set), ""
    for line in lock.read_text().splitlines():
        if pin := re.match(r"([\w.-]+==[\w.]+)", line):
            name = pin[1]
        elif line.strip().startswith("--hash="):
            found[name].add(line.strip(" \\"))
    return dict(found)


def test_each_function_of_the_template_is_in_the_table() -> None:
    functions = {
        name: one["Properties"] for name, one in TEMPLATE["Resources"].items() if one["Type"] in FUNCTION_TYPES
    }
    assert {one.name for one in FUNCTIONS} | SHARED.keys() == set(functions)
    for name, other in SHARED.items():
        assert functions[name]["CodeUri"] == functions[other]["CodeUri"]
        assert functions[name]["Architectures"] == functions[other]["Architectures"]
    for one in FUNCTIONS:
        assert functions[one.name]["CodeUri"]["Key"] == {"Ref": one.parameter}
        assert functions[one.name]["Architectures"] == [{"Ref": "Architecture"}]


def test_the_architectures_are_the_templates() -> None:
    parameter = TEMPLATE["Parameters"]["Architecture"]
    assert (tuple(parameter["AllowedValues"]), parameter["Default"]) == (ARCHITECTURES, ARCHITECTURES[0])


def test_each_extra_is_locked_as_the_whole_project_is() -> None:
    extras = {one.extra for one in (*FUNCTIONS, *functions(traces=True))}
    assert {path.stem for path in LOCKS.iterdir()} == extras
    made = re.search(r"FUNCTIONS_EXTRAS := (.*)", (ROOT / "Makefile").read_text())
    assert made
    assert set(made[1].split()) == extras
    whole = pins(ROOT / "requirements.lock")
    for extra in extras:
        part = pins(LOCKS / f"{extra}.lock")
        assert {"boto3", "msgspec", "pybase64"} <= {pin.partition("==")[0] for pin in part}
        assert {pin: whole.get(pin) for pin in part} == part


def test_the_services_are_those_that_the_functions_code_calls() -> None:
    folders = [ROOT / "consumers" / package for package in ("tidemill_consumers", "tidemill_media")]
    code = "".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    called = set(re.findall(r"""boto3\.(?:client|resource)[(,]\s*["']([\w-]+)""", code))
    assert called
    assert set().union(*(one.services for one in functions(traces=True))) == called
    assert set().union(*(one.services for one in FUNCTIONS)) == called - {"xray"}


def test_rules_that_photos_need_are_missed_only_with_photos() -> None:
    assert unheard_photos("on", {"content.processed", "content.removed", "item.put"}) is None
    assert unheard_photos("off", {"item.put"}) is None
    assert str(unheard_photos("on", {"item.put"})).startswith("RULES lacks content.processed and content.removed: with")
    assert str(unheard_photos("on", {"content.processed"})).startswith("RULES lacks content.removed: with")
