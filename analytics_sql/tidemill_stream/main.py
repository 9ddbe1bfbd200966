"""The stage's program: reads its runtime properties, defines the tables, and runs all stages as one job.

Room: analytics, stage. Runs in PyFlink's environment, here as `python -m tidemill_stream.main --properties FILE --wait`
and on Amazon Managed Service for Apache Flink, which has its properties in a file:
https://docs.aws.amazon.com/managed-flink/latest/java/how-python-creating.html
Tests: tests/analytics_sql/stream/stages.py, which needs PyFlink.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment, TableResult

from tidemill_stream.retention import with_retention
from tidemill_stream.settings import FLINK_GROUP, GROUP, Settings
from tidemill_stream.statements import literal, statements_of

PROPERTIES = Path("/etc/flink/application_properties.json")

UTC = ("UTC", "Etc/UTC")
"""The time zones in which windows are cut from the epoch on."""


def main(arguments: list[str]) -> int:
    """Run the job that the properties describe; 0 when it is submitted, or with --wait when it has ended."""
    parser = argparse.ArgumentParser(description="The analytics stage.")
    parser.add_argument("--properties", type=Path, default=PROPERTIES, help="the file of runtime properties")
    parser.add_argument("--wait", action="store_true", help="run until the job ends, or the standard input does")
    args = parser.parse_args(arguments)
    if args.wait:
        threading.Thread(target=_end_with_input, daemon=True).start()
    groups = groups_in(args.properties.read_text(encoding="utf-8"))
    result = submit(environment(groups.get(FLINK_GROUP, {})), Settings.read(groups.get(GROUP, {})))
    print("submitted", flush=True)  # noqa: T201 - for whoever started it
    if args.wait:
        result.wait()
    return 0


def groups_in(text: str) -> dict[str, Mapping[str, str]]:
    """The groups of properties in such a file, by name."""
    return {one["PropertyGroupId"]: one["PropertyMap"] for one in json.loads(text)}


def environment(options: Mapping[str, str]) -> TableEnvironment:
    """An environment for streaming, with these settings of Flink's."""
    configuration = Configuration()
    for name, value in options.items():
        configuration.set_string(name, value)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    tables = TableEnvironment.create(settings)
    config = tables.get_config()
    if config.get_local_timezone() not in UTC:  # Managed Flink, which may refuse the setting, runs in UTC
        config.set_local_timezone("UTC")
    return tables


def submit(tables: TableEnvironment, settings: Settings) -> TableResult:
    """Define the tables and submit all stages as one job."""
    found = statements_of(settings)
    for definition in found.definitions:
        tables.execute_sql(definition)
    together = tables.create_statement_set()
    for insert in found.inserts.values():
        together.add_insert_sql(insert)
    plan = together.compile_plan().as_json_string()
    if found.look_for_repeats:
        plan = with_retention(plan, settings.horizon)
    # A file, and a statement: PyFlink 2.2's own CompiledPlan.execute fails (it asks the JVM for a method of Python's).
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        path.write_text(plan, encoding="utf-8")
        return tables.execute_sql(f"EXECUTE PLAN {literal(path.as_uri())}")


def _end_with_input() -> NoReturn:
    """End the process when its parent ends, which holds the other end of the input; Flink's JVM ends with it."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
