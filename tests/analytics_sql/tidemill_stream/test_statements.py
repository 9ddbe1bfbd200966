"""The stage's SQL: stages name no connector, and a binding's tables are there for the stages that run."""

from __future__ import annotations

import re

import pytest

from tests.analytics_sql.tidemill_stream.test_settings import GIVEN
from tidemill_consumers.core.batch import MOST_AMOUNT as OF_THE_FUNCTIONS
from tidemill_stream.settings import STAGES, InvalidSettings, Settings
from tidemill_stream.statements import FOLDER, MOST_AMOUNT, Statements, literal, statements_of

AGGREGATED = {"aggregated.arn": "arn:aws:kinesis:us-east-1:000000000000:stream/aggregated"}


def made(**properties: str) -> Statements:
    given = {**GIVEN, **AGGREGATED, **{name.replace("_", "."): value for name, value in properties.items()}}
    return statements_of(Settings.read(given))


def tables(found: Statements) -> list[str]:
    named = (re.search(r"CREATE TEMPORARY (?:TABLE|VIEW) (\w+)", one) for one in found.definitions)
    return [one[1] for one in named if one and not one[1].endswith("_columns")]


def test_a_job_defines_what_its_stages_name() -> None:
    found = made()
    assert tables(found) == ["arrivals", "totals", "tops", "alerts", "requests", "first_attempts", "taken"]
    assert list(found.inserts) == ["coalesce", "top_content", "anomalies"]
    assert tables(made(stages="coalesce")) == ["arrivals", "totals", "requests", "first_attempts", "taken"]


def test_stages_that_count_look_for_repeats() -> None:
    assert made(stages="coalesce").look_for_repeats
    assert not made(stages="anomalies").look_for_repeats


def test_nothing_is_left_to_fill_in() -> None:
    everything = made(
        stages=",".join(STAGES), reference_path="file:///r", enriched_path="file:///e", aws_endpoint="http://x"
    )
    text = "\n".join([*everything.definitions, *everything.inserts.values()])
    assert "${" not in text
    assert text.count("'aws.endpoint' = 'http://x',") == 4


def test_it_reads_from_before_its_first_window_for_repeats() -> None:
    assert "'source.init.timestamp' = '1764496400'" in made().definitions[6]
    assert "'source.init.timestamp' = '1764499100'" in made(horizon_seconds="60").definitions[6]
    assert "'source.init.timestamp' = '0'" in made(begin="0").definitions[6]


def test_what_a_binding_needs_and_is_not_given_is_named() -> None:
    with pytest.raises(InvalidSettings, match=r"^reference\.path: is needed by the binding kinesis"):
        made(stages="coalesce,enrich")
    with pytest.raises(InvalidSettings, match=r"^binding: there is none of the name '../x'"):
        made(binding="../x")


def test_an_apostrophe_ends_no_literal() -> None:
    assert literal("it's") == "'it''s'"
    found = made(commands='{"it\'s": "we\'ird"}', stream_arn="a'b")
    assert "cmd IN ('it''s')" in found.definitions[-2]
    assert "WHEN 'it''s' THEN" in found.definitions[-1]
    assert "$[''we\\''ird'']" in found.definitions[-1]
    assert "'a''b'" in found.definitions[6]


def test_periods_by_the_first_attempt_too() -> None:
    taken = made().definitions[-1]
    assert "(arrival < TO_TIMESTAMP_LTZ(1764003600, 0) OR tried < 1764003600000) OR arrival" in taken
    assert "arrival >= TO_TIMESTAMP_LTZ(1764090000, 0))" in taken


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_one_insert_and_names_no_connector(stage: str) -> None:
    text = (FOLDER / "stages" / f"{stage}.sql").read_text()
    assert len(re.findall(r"^INSERT INTO", text, re.MULTILINE)) == 1
    assert text.rstrip().endswith(";")
    assert not re.search(r"connector|WITH \(|CREATE ", text)


def test_every_stage_has_a_file_and_every_file_is_a_stage() -> None:
    assert {one.stem for one in (FOLDER / "stages").glob("*")} == set(STAGES)


def test_the_largest_amount_is_the_functions() -> None:
    assert MOST_AMOUNT == OF_THE_FUNCTIONS
