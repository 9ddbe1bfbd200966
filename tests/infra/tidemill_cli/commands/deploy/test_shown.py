import pytest
from rich.console import Console

from tidemill_cli.commands.deploy.shown import estimate, show_plan, snippets
from tidemill_deploy.stack.changes import Change
from tidemill_load import Impossible


def test_what_is_lost_is_red_and_says_so() -> None:
    out = Console(record=True, width=200, force_terminal=True, color_system="standard")
    show_plan(out, (Change("replace", "Requests", "AWS::Kinesis::Stream"), Change("create", "Apply", "T")))
    lost, made = out.export_text(styles=True).splitlines()
    assert "\x1b[1;31m" in lost
    assert "requests that are not applied yet are lost" in lost
    assert "\x1b[32m" in made


def test_the_estimate_grows_with_the_rate_and_says_what_costs_without_requests() -> None:
    slow, fast = estimate(10, {}), estimate(1000, {})
    assert dollars(fast) > dollars(slow) > dollars(slow, 1) > 0
    assert dollars(slow, 1) == dollars(fast, 1)


def dollars(sentence: str, place: int = 0) -> float:
    return float(sentence.replace(",", "").split("$")[place + 1].split()[0])


def test_more_shards_cost_more_without_requests() -> None:
    assert dollars(estimate(10, {"ShardCount": "20"}), 1) > dollars(estimate(10, {"ShardCount": "2"}), 1)


def test_a_rate_that_cannot_be_is_told() -> None:
    with pytest.raises(Impossible):
        estimate(10**9, {})


def test_the_client_is_printed_with_the_stacks_own_stream() -> None:
    lines = list(snippets("shop", "eu-central-1", {"StreamArn": "arn:aws:kinesis:eu-central-1:1:stream/s"}))
    assert '  with Producer("arn:aws:kinesis:eu-central-1:1:stream/s") as producer:' in lines
    assert "  tidemill send --stack shop tidemill.probe a-key" in lines
