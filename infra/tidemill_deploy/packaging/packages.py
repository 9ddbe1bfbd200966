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
from tidemill_deploy.packaging.bytecode import compiled
from tidemill_deploy.packaging.contents import together, without_models
from tidemill_deploy.packaging.functions import Function, functions
from tidemill_deploy.packaging.requirements import want_all_of_aws
from tidemill_deploy.packaging.trial import try_rules
from tidemill_deploy.packaging.wheels import LOCKS, Target
from tidemill_event_source.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping


def package(
    rules: str,
    target: Target,
    out: Path,
    *,
    compile_modules: bool = False,
    traces: bool = False,
    heard: Callable[[Collection[str]], object] = lambda _: None,
) -> list[Package]:
    """Make each function's package for Lambda.

    Args:
        rules: the module of rules, or the folder that holds it.
        target: where the functions run.
        out: the folder for the zips, which is made if needed; zips of their names there are replaced, each at
            once: whoever reads one meanwhile has the whole old one or the whole new one.
        compile_modules: whether to add bytecode. It takes the target's Python on this machine, on whose release the
            bytes depend.
        traces: whether to add what the functions need for traces.
        heard: is called with the rules' commands, unless the rules are the built-in ones.

    Raises:
        RulesNotFound: there are no such rules, or they cannot be imported.
        PackagingError: a package cannot be had, is too large, or holds what takes the place of something else.
        NotWritten: a zip cannot be written; the one that was there is as it was.
    """
    application, wanted = find(rules), functions(traces=traces)
    with tempfile.TemporaryDirectory(prefix="tidemill-package-") as folder:
        if not _is_built_in(application):
            heard(try_rules(application.rules, _by_uv(application, wanted[0], None, Path(folder))).commands)
        made = {one.needs: _by_uv(application, one, target, Path(folder)) for one in _unlike(wanted)}
    if compile_modules:
        made = {needs: compiled(files, target.python) for needs, files in made.items()}
    code = {needs: zipped(files) for needs, files in made.items()}
    found = [described(one, out / one.file, code[one.needs], made[one.needs]) for one in wanted]
    out.mkdir(parents=True, exist_ok=True)
    for function in wanted:
        write_whole(out / function.file, code[function.needs], 0o666)
    return found


def aggregatable(rules: str) -> dict[str, str | None]:
    """The rules' commands in Aggregatable, each with the member of data that it sums, or None where it counts requests.

    Args:
        rules: the module of rules, or the folder that holds it.

    Raises:
        RulesNotFound: there are no such rules, or they cannot be imported.
        PackagingError: what they need cannot be had.
    """
    application, (function, *_) = find(rules), functions(traces=False)
    if _is_built_in(application):
        return try_rules(application.rules, _from_here(application, function)).aggregatable
    with tempfile.TemporaryDirectory(prefix="tidemill-package-") as folder:
        return try_rules(application.rules, _by_uv(application, function, None, Path(folder))).aggregatable


def code_here(
    rules: str, *, traces: bool = False, heard: Callable[[Collection[str]], object] = lambda _: None
) -> dict[str, bytes]:
    """Each function's code for this machine and this Python, by the function's name; needs no network.

    Args:
        rules: the module of rules, or the folder that holds it.
        traces: whether to add what the functions need for traces.
        heard: is called with the rules' commands, unless the rules are the built-in ones.

    Raises:
        RulesNotFound: there are no such rules, or they cannot be imported.
        PackagingError: a package is not installed here, or the rules hold what takes the place of something else.
    """
    application, wanted = find(rules), functions(traces=traces)
    made = {one.needs: _from_here(application, one) for one in _unlike(wanted)}
    if not _is_built_in(application):
        heard(try_rules(application.rules, made[wanted[0].needs]).commands)
    code = {needs: zipped(files, compressed=False) for needs, files in made.items()}
    return {function.name: code[function.needs] for function in wanted}


def _is_built_in(application: Application) -> bool:
    return application.rules == BUILT_IN


def _unlike(functions: Iterable[Function]) -> list[Function]:
    """A function for each package: most functions need what others do."""
    return list({one.needs: one for one in functions}.values())


def _by_uv(application: Application, function: Function, target: Target | None, folder: Path) -> dict[str, bytes]:
    into = Path(tempfile.mkdtemp(dir=folder))
    found = wheels.installed(LOCKS / f"{function.extra}.lock", application.requirements, target, into)
    return _assembled(found, application, function)


def _from_here(application: Application, function: Function) -> dict[str, bytes]:
    return _assembled(installed.installed(function.extra, application.requirements), application, function)


def _assembled(third_party: Mapping[str, Path], application: Application, function: Function) -> dict[str, bytes]:
    if not want_all_of_aws(application.requirements):
        third_party = without_models(third_party, function.services)
    files = together(third_party, own_files(), application.files)
    return {name: path.read_bytes() for name, path in files.items()}
