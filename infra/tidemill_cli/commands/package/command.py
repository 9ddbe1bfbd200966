"""`tidemill package`: the functions' code for Lambda, a zip a function, and the analytics stage's for Managed Flink.

Room: command line. Tests: tests/infra/tidemill_cli/commands/test_package.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tidemill_cli.errors import run_or_tell
from tidemill_deploy.packaging import Target, package
from tidemill_deploy.packaging.application import BUILT_IN, find
from tidemill_deploy.packaging.archive import megabytes
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.packaging.functions import ARCHITECTURES
from tidemill_deploy.stage.package import package_stage
from tidemill_deploy.template import load, python_version, template_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--rules",
        metavar="MODULE|FOLDER",
        default=BUILT_IN,
        help="the module that holds RULES, or the folder of it; what they require is in a requirements.txt beside "
        f"them (default: {BUILT_IN})",
    )
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        default=ARCHITECTURES[0],
        help=f"the template's parameter Architecture (default: {ARCHITECTURES[0]})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", default=Path("build"), help="where to put the zips (default: build)"
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the modules, so that functions begin sooner; the template's Python must be on this machine",
    )
    parser.add_argument(
        "--traces", action="store_true", help="add OpenTelemetry, for the template's parameter Traces: 6 MB unpacked"
    )
    parser.add_argument(
        "--analytics", action="store_true", help="add the analytics stage's zip, for the template's AnalyticsCodeKey"
    )
    add_connector(parser)
    parser.epilog = "example: tidemill package --rules shop --out build"


def add_connector(parser: argparse.ArgumentParser) -> None:
    """The argument that names the stage's jar."""
    parser.add_argument(
        "--connector",
        type=Path,
        metavar="JAR",
        help="the analytics stage's connector (default: what `make connector` built)",
    )


def run(args: argparse.Namespace) -> int:
    """Make the packages, and say what they are."""
    return run_or_tell("package", lambda: _run(args), PackagingError)


def _run(args: argparse.Namespace) -> int:
    target = Target(args.architecture, python_version(load(template_path())))
    packages = package(args.rules, target, args.out, compile_modules=args.compile, traces=args.traces)
    if args.analytics:
        packages.append(package_stage(args.out, args.connector))
    for made in packages:
        sizes = f"{megabytes(made.zipped)}, {megabytes(made.unpacked)} unpacked"
        print(f"{made.function:<9} {made.path}  {sizes}  sha256 {made.sha256}")
    print(f"for {target}; parameters of the template: Rules={find(args.rules).rules} Architecture={args.architecture}")
    return 0
