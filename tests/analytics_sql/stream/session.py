"""A program in PyFlink's environment that runs jobs of the stage for the tests: one JVM for all, for it starts slowly.

A line of JSON in, a line of JSON out. `{"run": {properties}}` runs a job of bounded files to its end; `{"explain":
{properties}}` asks for the plan of each stage's insert. The answer is `{"plans": {…}}`, or `{"error": "…"}`.
"""

from __future__ import annotations

import json
import sys

from tidemill_stream.main import environment, submit
from tidemill_stream.settings import Settings
from tidemill_stream.statements import statements_of

OPTIONS = {
    "parallelism.default": "1",
    "pipeline.object-reuse": "true",
    "rest.bind-address": "127.0.0.1",
    "rest.bind-port": "0",
}


def answer(asked: dict[str, dict[str, str]]) -> dict[str, object]:
    tables = environment(OPTIONS)
    if "run" in asked:
        submit(tables, Settings.read(asked["run"])).wait()
        return {"plans": {}}
    found = statements_of(Settings.read(asked["explain"]))
    for definition in found.definitions:
        tables.execute_sql(definition)
    return {"plans": {stage: tables.explain_sql(insert) for stage, insert in found.inserts.items()}}


def main() -> None:
    for line in sys.stdin:
        try:
            answered = answer(json.loads(line))
        except Exception as error:
            answered = {"error": str(error)}
        print(json.dumps(answered), flush=True)


if __name__ == "__main__":
    main()
