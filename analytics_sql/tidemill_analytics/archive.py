"""The archive as SQL tables: the records that the delivery stream landed in S3 or in a folder.

Room: analytics. Every archived record is a row (landed.py says where one ends). The SQL can read nothing else and write
nothing.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow as pa
from pyarrow import fs

from tidemill.contract.request import RefusedRequest, Request
from tidemill_analytics.exact import frame
from tidemill_analytics.landed import Unpacked, records, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

LANDING = "landing"
"""Where the delivery stream puts records, below the archive's root."""

ERRORS = "landing-errors"
"""Where the delivery stream puts records that it could not process."""

_READERS = 8
_CONNECT_SECONDS = 3
_ATTEMPTS = 2
_HERE = Path(__file__).parent
# In the wheel the queries are inside the package, in the source tree beside it.
_QUERY_FOLDERS = (_HERE / "archive", _HERE.parent / "archive")
_DAY = re.compile(r"(?:^|/)dt=([^/]+)/")
_HOUR = re.compile(r"(?:^|/)hour=([^/]+)/")
# The delivery stream names an object by the arrival of its oldest record; no line's own arrival is known.
# https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html
_OLDEST = re.compile(r".*-(\d{4})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-[^/]*$")
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_NO_OUTSIDE = (
    "SET temp_directory = ''",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


_BARE_AT = re.compile(r"""(?<!["'\w])at(?!["'\w])""", re.IGNORECASE)
_AT_HINT = '\n\nThe column at is a word of SQL: write "at", or use sent_at, which is a timestamp'


class ArchiveError(Exception):
    """The archive cannot be read, or not in this way; says why and what to do."""


class ArchiveEmptyError(ArchiveError):
    """Nothing has landed yet."""


class UnknownQueryError(ArchiveError):
    """No query has this name; lists the existing ones."""


class SqlError(ArchiveError):
    """DuckDB refused the SQL; its message."""


class _FailedRecord(msgspec.Struct, rename="camel"):
    """The fields that are read of an error output's line: see AWS's data-transformation.html."""

    error_code: str
    error_message: str


def queries() -> Mapping[str, str]:
    """The analysts' queries: name -> what it shows, the first line of its file."""
    return {path.stem: _description(path) for path in sorted(_query_folder().glob("*.sql"))}


class Archive:
    """The archive below one root, read once, when the first SQL asks for it.

    The SQL sees `interactions` (every line) and `requests` (every request once): see schema.sql.

    Args:
        root: s3://bucket/prefix or a folder, with `landing/` and `landing-errors/` below it.
        endpoint_url: of an S3 that is not AWS's own, such as the local platform's.
        access_key, secret_key, session_token: AWS credentials; without them, those of the environment.
        region: the bucket's.

    Example:
        Archive("s3://archive", endpoint_url="http://127.0.0.1:4566").query("top-content").head(10)
    """

    def __init__(
        self,
        root: str | Path,
        endpoint_url: str | None = None,
        access_key: str | None = None,
        secret_key: str | None = None,
        session_token: str | None = None,
        region: str = "us-east-1",
    ) -> None:
        self.root = str(root)
        self._files = _Files(self.root, _S3(endpoint_url, access_key, secret_key, session_token, region))

    @staticmethod
    def queries() -> Mapping[str, str]:
        """The analysts' queries: name -> what it shows."""
        return queries()

    def query(self, name: str) -> pd.DataFrame:
        """The result of the analysts' query `name`.

        Raises:
            UnknownQueryError: there is no query of that name.
            ArchiveEmptyError: nothing has landed yet.
            ArchiveError: the archive cannot be read.
        """
        if name not in queries():
            raise UnknownQueryError(f"there is no query {name!r}; there are: {', '.join(queries())}")
        return self.sql((_query_folder() / f"{name}.sql").read_text())

    def sql(self, text: str) -> pd.DataFrame:
        """The result of one SELECT in DuckDB's SQL: over the archive's tables only, no files, no network.

        Integers are integers and decimals are decimals, whatever their size: see exact.py.

        Raises:
            SqlError: DuckDB refused the text, or it is not exactly one statement that reads.
            ArchiveEmptyError: nothing has landed yet.
            ArchiveError: the archive cannot be read.
        """
        try:
            statements = duckdb.extract_statements(text)
            if len(statements) != 1 or statements[0].type not in _READING:
                raise SqlError("the archive is read only: give one SELECT")
            return frame(self._tables.execute(statements[0]))
        except duckdb.ParserException as error:
            raise SqlError(f"{error}{_AT_HINT if _BARE_AT.search(text) else ''}") from None
        except duckdb.Error as error:
            raise SqlError(str(error)) from None

    @cached_property
    def _tables(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        connection.execute((_HERE / "schema.sql").read_text())
        rows = 0
        for table in map(_table, self._files.read()):
            connection.register("arrived", table)
            connection.execute("INSERT INTO lines SELECT * FROM arrived")
            connection.unregister("arrived")
            rows += table.num_rows
        if not rows:
            raise ArchiveEmptyError(
                f"nothing has landed under {self.root}/{LANDING} yet. Send requests with tidemill.Producer to a stack, "
                "such as a running `tidemill up`, and wait for its ArchiveIntervalSeconds (60 by default)"
            )
        for setting in _NO_OUTSIDE:
            connection.execute(setting)
        return connection


@dataclass(frozen=True, slots=True)
class _File:
    """An object of the archive: its path below the root, and its bytes."""

    path: str
    unpacked: Unpacked


@dataclass(frozen=True, slots=True)
class _S3:
    endpoint_url: str | None
    access_key: str | None
    secret_key: str | None
    session_token: str | None
    region: str

    def open(self) -> fs.FileSystem:
        scheme, _, host = (self.endpoint_url or "https://").rpartition("://")
        return fs.S3FileSystem(
            endpoint_override=host.rstrip("/") or None,
            scheme=scheme or "https",
            access_key=self.access_key,
            secret_key=self.secret_key,
            session_token=self.session_token,
            region=self.region,
            connect_timeout=_CONNECT_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )


@dataclass(frozen=True, slots=True)
class _Files:
    """The archive's files, in S3 or in a folder."""

    root: str
    s3: _S3

    def read(self) -> Iterator[_File]:
        """The files, unpacked, in order of path; several are read at a time."""
        try:
            system, base = self._open()
            paths = [path for part in (LANDING, ERRORS) for path in _paths(system, f"{base}/{part}")]
            with ThreadPoolExecutor(_READERS) as pool:
                yield from pool.map(lambda path: _read(system, path, base), paths)
        except OSError as error:
            raise ArchiveError(f"{self.root} cannot be read: {_first_line(error)}") from None

    def _open(self) -> tuple[fs.FileSystem, str]:
        if self.root.startswith("s3://"):
            return self.s3.open(), self.root.removeprefix("s3://").rstrip("/")
        folder = Path(self.root)
        if not folder.is_dir():
            raise ArchiveError(f"{self.root} is neither a folder nor s3://bucket/prefix")
        return fs.LocalFileSystem(), folder.absolute().as_posix().rstrip("/")


def _paths(system: fs.FileSystem, folder: str) -> list[str]:
    found = system.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    return sorted(info.path for info in found if info.type == fs.FileType.File)


def _read(system: fs.FileSystem, path: str, base: str) -> _File:
    name = path.removeprefix(f"{base}/")
    with system.open_input_stream(path, compression=None) as stream:
        content: bytes = stream.read()
    return _File(name, unpack(content))


@dataclass(frozen=True, slots=True)
class _Row:
    """A row: a request's fields, or the record itself (`raw`) and why it is no request (`error`)."""

    id: str | None = None
    cmd: str | None = None
    key: str | None = None
    client: str | None = None
    writer: str | None = None
    counter: int | None = None
    at: int | None = None
    data: str | None = None
    raw: str | None = None
    error: str | None = None


def _table(file: _File) -> pa.Table:
    """The file's records as rows of the table `lines`; columns of nulls get schema.sql's types when inserted."""
    rows = list(_rows(file))
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in _Row.__slots__}
    same: dict[str, Any] = {"dt": _part(_DAY, file.path), "hour": _part(_HOUR, file.path), "file": file.path}
    same["arrived_at"] = _arrival(file.path, same["dt"], same["hour"])
    columns |= {name: [value] * len(rows) for name, value in same.items()}
    return pa.table(columns)


def _rows(file: _File) -> Iterator[_Row]:
    content, damage, torn = file.unpacked.content, file.unpacked.damage, file.unpacked.torn
    if file.path.startswith(f"{ERRORS}/"):
        yield from map(_failed_row, filter(bytes.strip, content.split(b"\n")))
    else:
        yield from (_row(record, request) for record, request in records(content))
    if damage is not None:
        yield _Row(raw=_text(torn) or None, error=f"damaged gzip object {file.path}: {damage}")


def _row(record: bytes, request: Request | RefusedRequest) -> _Row:
    """The row of a record. The contract decides what is a request, so that archive and consumers agree."""
    if isinstance(request, RefusedRequest):
        return _Row(raw=_text(record), error=str(request))
    at = request.at if request.at is None or -(2**63) <= request.at < 2**63 else None
    data = msgspec.json.encode(request.data).decode()
    return _Row(request.id, request.cmd, request.key, request.client, request.writer, request.counter, at, data)


def _failed_row(line: bytes) -> _Row:
    try:
        failed = msgspec.json.decode(line, type=_FailedRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Row(raw=_text(line), error="in the error output, and not in its form")
    return _Row(raw=_text(line), error=f"{failed.error_code}: {failed.error_message}")


def _text(line: bytes) -> str:
    return line.decode(errors="backslashreplace")


def _part(pattern: re.Pattern[str], path: str) -> str | None:
    match = pattern.search(path)
    return match[1] if match else None


def _arrival(path: str, day: str | None, hour: str | None) -> datetime | None:
    """The arrival of the object's oldest line (UTC): by the object's name, else by its folder's hour or day."""
    oldest = _OLDEST.match(path)
    named = ["{}-{}-{}T{}:{}:{}".format(*oldest.groups())] if oldest else []
    for time in (*named, f"{day}T{hour or '00'}:00:00"):
        with suppress(ValueError):
            return datetime.fromisoformat(time)
    return None


def _query_folder() -> Path:
    return next(folder for folder in _QUERY_FOLDERS if folder.is_dir())


def _description(path: Path) -> str:
    with path.open() as file:
        return file.readline().removeprefix("--").strip()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
