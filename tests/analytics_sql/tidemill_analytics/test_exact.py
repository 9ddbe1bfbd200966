"""Numbers of SQL are exact in a data frame, whatever their type and size."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import pytest

from tidemill_analytics.exact import frame


def answer(sql: str) -> tuple[list[Any], list[str]]:
    """The first row of the answer, and each column's type."""
    found = frame(duckdb.connect().execute(sql))
    return [found[name].iloc[0] for name in found], [str(kind) for kind in found.dtypes]


@pytest.mark.parametrize(
    ("sql", "value", "kind"),
    [
        ("SELECT sum(1)", 1, "int64"),
        ("SELECT sum(x) FROM (VALUES (9007199254740993::BIGINT), (10), (10)) t(x)", 9007199254741013, "int64"),
        ("SELECT (2::HUGEINT << 100)", 2**101, "object"),
        ("SELECT 340282366920938463463374607431768211455::UHUGEINT", 2**128 - 1, "object"),
        ("SELECT '123456789123456789123456789123456789123456789'::BIGNUM", int("123456789" * 5), "object"),
        ("SELECT '12345678901234567.89'::DECIMAL(20, 2)", Decimal("12345678901234567.89"), "object"),
        ("SELECT 1.50", Decimal("1.50"), "object"),
        ("SELECT [0.1, NULL]", [Decimal("0.1"), None], "object"),
        ("SELECT {'a': 2::HUGEINT}", {"a": 2}, "object"),
        ("SELECT 0.5::DOUBLE", 0.5, "float64"),
        ("SELECT count(*)", 1, "int64"),
    ],
)
def test_a_number_is_exact(sql: str, value: object, kind: str) -> None:
    assert answer(sql) == ([value], [kind])


def test_numbers_among_missing_ones_stay_exact() -> None:
    sql = "SELECT sum(x) AS s, sum(x) * 0.5 AS d FROM (VALUES (3, 1), (NULL, 2)) t(x, y) GROUP BY y ORDER BY y"
    found = frame(duckdb.connect().execute(sql))
    assert str(found["s"].dtype) == "Int64"
    assert found.to_csv(index=False) == "s,d\n3,1.5\n,\n"


def test_other_columns_beside_exact_ones_keep_their_types() -> None:
    others = "'x' AS text, TIMESTAMP '2026-11-24 07:00:00' AS time, true AS truth, 0.5::DOUBLE AS share, 7 AS whole"
    alone = frame(duckdb.connect().execute(f"SELECT {others}"))
    beside = frame(duckdb.connect().execute(f"SELECT {others}, sum(1) AS total"))
    assert beside.drop(columns="total").to_csv() == alone.to_csv()
    assert [kind.kind for kind in beside.dtypes] == [*(kind.kind for kind in alone.dtypes), "i"]


def test_columns_of_one_name_are_all_there() -> None:
    for sql in ("SELECT 1 AS a, 2 AS a, 3 AS a", "SELECT 1::HUGEINT AS a, 2 AS a, 3 AS a"):
        assert frame(duckdb.connect().execute(sql)).to_dict("records") == [{"a": 1, "a_1": 2, "a_2": 3}]


def test_an_answer_without_rows_has_its_columns() -> None:
    found = frame(duckdb.connect().execute("SELECT 'x' AS text, 1::HUGEINT AS n, 1.5 AS d LIMIT 0"))
    assert (list(found), len(found)) == (["text", "n", "d"], 0)
