"""Makes the functions' packages: for Lambda by uv, or for this machine of what is installed here.

Room: packaging, composition root. Both ways differ in where the third-party packages come from, and in nothing else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_deploy.packaging import installed, wheels
from tidemill_deploy.packaging.application import BUILT_IN, Application, find, own_files
from tidemill_deploy.packaging.archive import Package, described, zipped
from tidemill_deploy.packaging.contents import together
from tidemill_deploy.packaging.functions import FUNCTIONS
from tidemill_deploy.packaging.trial import try_rules
from tidemill_deploy.packaging.wheels import LOCKS, Target

if TYPE_CHECKING:
    from collections.abc import Mapping


def package(rules: str, target: Target, out: Path) -> list[Package]:
    """Make each function's package for Lambda.

    Args:
        rules: the module of rules, or the folder that holds it.
        target: where the functions run.
        out: the folder for the zips, which is made if needed; zips of their names there are replaced.

    Raises:
        RulesNotFound: there are no such rules, or they cannot be imported.
        PackagingError: a package cannot be had, is too large, or holds what takes the place of something else.
    """
    application = find(rules)
    with tempfile.TemporaryDirectory(prefix="tidemill-package-") as folder:
        if not _is_built_in(application):
            extra = FUNCTIONS[0].extra
            try_rules(application.rules, _by_uv(application, extra, None, Path(folder, "trial")))
        made = {extra: _by_uv(application, extra, target, Path(folder, extra)) for extra in _extras()}
    code = {extra: zipped(files) for extra, files in made.items()}
    found = [described(one, out / one.file, code[one.extra], made[one.extra]) for one in FUNCTIONS]
    out.mkdir(parents=True, exist_ok=True)
    for function in FUNCTIONS:
        (out / function.file).write_bytes(code[function.extra])
    return found


def code_here(rules: str) -> dict[str, bytes]:
    """Each function's code for this machine and this Python, by the function's name; needs no network.

    Raises:
        RulesNotFound: there are no such rules, or they cannot be imported.
        PackagingError: a package is not installed here, or the rules hold what takes the place of something else.
    """
    application = find(rules)
    made = {extra: _from_here(application, extra) for extra in _extras()}
    if not _is_built_in(application):
        try_rules(application.rules, made[FUNCTIONS[0].extra])
    code = {extra: zipped(files, compressed=False) for extra, files in made.items()}
    return {function.name: code[function.extra] for function in FUNCTIONS}


def _is_built_in(application: Application) -> bool:
    return application.rules == BUILT_IN


def _extras() -> set[str]:
    return {function.extra for function in FUNCTIONS}


def _by_uv(application: Application, extra: str, target: Target | None, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    found = wheels.installed(LOCKS / f"{extra}.lock", application.requirements, target, folder)
    return _read(together(found, own_files(), application.files))


def _from_here(application: Application, extra: str) -> dict[str, bytes]:
    found = installed.installed(extra, application.requirements)
    return _read(together(found, own_files(), application.files))


def _read(files: Mapping[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files.items()}
