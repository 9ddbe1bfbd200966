"""Imports the rules once as the functions will, in a process of its own: most mistakes show there. And what is told of
the rules that the analytics stage must know.

Room: packaging, I/O. The process sees what the package holds, and nothing that is installed beside it.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidemill_deploy.packaging.archive import zipped
from tidemill_deploy.packaging.errors import RulesNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

TRIAL_SECONDS = 30
"""Seconds that the rules may take to load: a tenth of a second is usual."""

# `os._exit` ends the process at once: it does not wait for threads that the module has started. Its output is dropped.
_TRIAL = """
import importlib, json, os, sys, traceback
folder, name, answer = sys.argv[1:]
sys.path.insert(0, folder)
from tidemill_consumers.core.batch import Aggregatable
from tidemill_consumers.core.calling.routing import problem_of
try:
    module = importlib.import_module(name)
    why = problem_of(module.RULES) if hasattr(module, "RULES") else "it has no RULES, a mapping of commands to rules"
    if why is None:
        sums = {cmd: rule.sum for cmd, rule in module.RULES.items() if isinstance(rule, Aggregatable)}
        with open(answer, "w", encoding="utf-8") as file:
            json.dump({"commands": list(module.RULES), "aggregatable": sums}, file)
        os._exit(0)
except BaseException as error:
    own = [one for one in traceback.extract_tb(error.__traceback__) if one.filename.startswith(folder)]
    where = f" ({os.path.relpath(own[-1].filename, folder)}:{own[-1].lineno})" if own else ""
    why = f"{type(error).__name__}: {error}{where}"
    if isinstance(error, ModuleNotFoundError):
        why += "; packages that the rules need are named in a requirements.txt beside them"
    if type(error).__name__ == "UnknownServiceError":
        why += "; a boto3 in a requirements.txt beside the rules brings all services"
sys.stderr.write(" ".join(why.split()))
sys.stderr.flush()
os._exit(1)
"""


class Table(NamedTuple):
    """The table of an application's rules, by its commands.

    Attributes:
        commands: all of them.
        aggregatable: those in Aggregatable, each with the member of data that it sums, or None.
    """

    commands: frozenset[str]
    aggregatable: dict[str, str | None]


def try_rules(rules: str, files: Mapping[str, bytes]) -> Table:
    """Import the module of rules; what its table has.

    Args:
        rules: its dotted name.
        files: a package's files, for this machine and this Python.

    Raises:
        RulesNotFound: it cannot be imported, or has no mapping RULES.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tidemill-rules-") as folder,
        tempfile.NamedTemporaryFile(prefix="tidemill-commands-") as answer,
    ):
        zipfile.ZipFile(io.BytesIO(zipped(files, compressed=False))).extractall(folder)
        try:
            tried = subprocess.run(  # noqa: S603 # our own words
                # -S: without what is installed here. -P: without the current directory.
                [sys.executable, "-S", "-P", "-B", "-c", _TRIAL, folder, rules, answer.name],
                cwd=folder,
                env=_environment(rules),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=TRIAL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RulesNotFound(f"the module {rules} is not loaded after {TRIAL_SECONDS} seconds") from None
        told = Path(answer.name).read_text(encoding="utf-8")
    if tried.returncode:
        words = tried.stderr.decode(errors="replace").splitlines() or [f"Python ended with {tried.returncode}"]
        raise RulesNotFound(f"the module {rules} has no rules to run: {words[-1]}")
    found = json.loads(told)
    return Table(frozenset(found["commands"]), found["aggregatable"])


def _environment(rules: str) -> dict[str, str]:
    """The variables of a function's environment that a module may need to be imported."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "TIDEMILL_RULES": rules,
    }
