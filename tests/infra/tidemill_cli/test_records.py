"""What `--json` writes of a result."""

from __future__ import annotations

import json

import duckdb
import pytest

from tidemill_analytics.exact import frame
from tidemill_cli.records import as_json


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("sum(1)", "1"),
        ("9007199254740993", "9007199254740993"),
        ("340282366920938463463374607431768211455::UHUGEINT", "340282366920938463463374607431768211455"),
        ("12345678901234567.89", "12345678901234567.89"),
        ("1.50", "1.50"),
        ("0.1::DOUBLE", "0.1"),
        ("'nan'::DOUBLE", "null"),
        ("'inf'::DOUBLE", "null"),
        ("NULL", "null"),
        ("true", "true"),
        ("'\u00e4\"'", '"\u00e4\\""'),
        ("TIMESTAMP '2026-11-24 07:00:00.5'", '"2026-11-24T07:00:00.500"'),
        ("DATE '2026-11-24'", '"2026-11-24T00:00:00.000"'),
        ("TIME '07:00:00'", '"07:00:00.000"'),
        ("INTERVAL 36 HOUR", '"P1DT12H0M0S"'),
        ("'\\x00\\xFFa'::BLOB", '"\\u0000\\\\xffa"'),
        ("[1, 2]", "[1,2]"),
        ("[0.10, NULL]", "[0.10,null]"),
        ("{'a': [{'b': 1}]}", '{"a":[{"b":1}]}'),
        ("MAP {1: 'x'}", '{"1":"x"}'),
        ("'0191e2c0-0000-7000-8000-000000000000'::UUID", '"0191e2c0-0000-7000-8000-000000000000"'),
    ],
)
def test_a_value_is_written_as_it_is(sql: str, written: str) -> None:
    text = as_json(frame(duckdb.connect().execute(f"SELECT {sql} AS x")))
    assert "".join(text.split()) == f'[{{"x":{written}}}]'


def test_rows_are_objects_in_their_order() -> None:
    text = as_json(frame(duckdb.connect().execute("SELECT * FROM (VALUES (1, 'a'), (NULL, NULL)) t(n, s)")))
    assert json.loads(text) == [{"n": 1, "s": "a"}, {"n": None, "s": None}]
    assert text.startswith("[\n {\n  ")
    assert as_json(frame(duckdb.connect().execute("SELECT 1 AS n LIMIT 0"))) == "[]\n"
