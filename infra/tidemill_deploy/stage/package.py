"""The analytics stage's package for Amazon Managed Service for Apache Flink: its program, its SQL and the connector.

Room: the stage, I/O: reads this project's files and the connector's jar.

The layout is the one that AWS documents: a zip with the program, one jar with all that is Java, and a folder of Python
modules, which the group of runtime properties RUN_OPTIONS names.
https://docs.aws.amazon.com/managed-flink/latest/java/how-python-creating.html
https://github.com/aws-samples/amazon-managed-service-for-apache-flink-examples/tree/main/python/PackagedPythonDependencies
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import tidemill_stream
from tidemill_deploy.packaging.archive import Package, zipped
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_event_source.files import write_whole
from tidemill_stream.statements import FOLDER

NAME = "Analytics"
"""The package's name, as the template's parameter AnalyticsCodeKey begins."""

RUN_OPTIONS = {"python": "main.py", "jarfile": "lib/tidemill-flink-connector.jar", "pyFiles": "dep/"}
"""The properties that say where in the zip is what: the group `kinesis.analytics.flink.run.options`."""

LIMIT = 512 * 2**20
"""Most bytes of a package. https://docs.aws.amazon.com/managed-flink/latest/java/limits.html"""

_MODULES = Path(tidemill_stream.__file__).parent

CONNECTOR = _MODULES.parent / "connector/target/tidemill-flink-connector.jar"
"""Where `make connector` builds it, in the source tree."""

_FACTORIES = "META-INF/services/org.apache.flink.table.factories.Factory"

_PROGRAM = b'''"""The program that Managed Flink starts."""

import sys

from tidemill_stream.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def package_stage(out: Path, connector: Path | None = None) -> Package:
    """Make the stage's package.

    Args:
        out: the folder for the zip, analytics.zip, which is made if needed.
        connector: the connector's jar; None for the one of the source tree.

    Raises:
        PackagingError: there is no connector there, or the package would be too large.
        NotWritten: the zip cannot be written; the one that was there is as it was.
    """
    files = _files(connector or CONNECTOR)
    code = zipped(files)
    if len(code) > LIMIT:
        raise PackagingError(f"the stage's package would be {len(code):,} bytes, and may be {LIMIT:,}")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{NAME.lower()}.zip"
    write_whole(path, code, 0o666)
    return Package(NAME, path, hashlib.sha256(code).hexdigest(), len(code), sum(map(len, files.values())))


def _files(connector: Path) -> dict[str, bytes]:
    """The package's files, by their names in it."""
    modules = {f"{RUN_OPTIONS['pyFiles']}tidemill_stream/{one.name}": one for one in _MODULES.glob("*.py")}
    sql = {
        f"{RUN_OPTIONS['pyFiles']}tidemill_stream/sql/{one.relative_to(FOLDER).as_posix()}": one
        for one in FOLDER.rglob("*.sql")
    }
    found = {name: path.read_bytes() for name, path in (modules | sql).items()}
    return {RUN_OPTIONS["python"]: _PROGRAM, RUN_OPTIONS["jarfile"]: _jar(connector), **found}


def _jar(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as jar:
            is_connector = b"tidemill." in jar.read(_FACTORIES)
    except FileNotFoundError:
        raise PackagingError(
            f"the stage needs the connector, and there is no {path}. In the source tree, with a JDK of Java 17 and "
            "Maven, `make connector` builds it; --connector names one that is elsewhere"
        ) from None
    except (OSError, KeyError, zipfile.BadZipFile):
        is_connector = False
    if not is_connector:
        raise PackagingError(f"{path} is not the connector: it has no table of Tidemill's for Flink")
    return path.read_bytes()
