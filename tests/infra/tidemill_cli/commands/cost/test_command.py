"""`tidemill cost` as an engineer meets it: the sentence, the table, the file, the errors."""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from tidemill_cli.commands import cost
from tidemill_load.cost_model.advice import Wanted, advise
from tidemill_load.cost_model.assumptions import DESIGNS, Assumptions
from tidemill_load.cost_model.prices import list_prices
from tidemill_load.workloads.key_distribution import KeyDistribution

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill cost")
    cost.add_arguments(parser)
    return cost.run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_first_line_says_whether_to_buffer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--rate", 1000, "--size", 200, "--p99", "2s") == 0
    saves, delivery, settings = capsys.readouterr().out.splitlines()[:3]
    assert saves == "Buffering saves 75%: $0.46 instead of $1.84 per million requests; from 7.3 requests/s on."
    assert delivery.endswith(" $0.012 instead of $1.22; cheaper from 4.2 requests/s on.")
    assert settings.startswith("With ShardCount=1 BatchingWindowSeconds=0 BatchSize=10000, aggregated: 1,000 requests ")
    assert settings.endswith("; 99 of 100 answered within 1.3 s.")


def test_it_says_so_when_direct_is_cheaper(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--rate", 1) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Direct is cheaper here: $1.84 instead of $5.62 per million requests; buffer from 4.7 ")
    assert "direct is cheaper" in shown


def test_every_mode_has_its_items(capsys: pytest.CaptureFixture[str]) -> None:
    run("--rate", 1000, "--window", 5)
    shown = capsys.readouterr().out
    assert re.search(r"^ +direct +buffered +aggregated +http-in-front$", shown, re.MULTILINE)
    assert re.search(r"API Gateway: HTTP API requests +\$1\.00 +\$1\.00$", shown, re.MULTILINE)
    assert re.search(r"Kinesis: shard-hours +\$0\.0042 +\$0\.0042 +\$0\.0042$", shown, re.MULTILINE)
    assert re.search(r"invocations per million +1,000,000 +200 +200 +200$", shown, re.MULTILINE)
    assert re.search(r"cheaper than direct from +[\d.]+/s +[\d.]+/s +[\d.]+/s$", shown, re.MULTILINE)
    assert f"Prices of us-east-1, {list_prices().date}" in shown.replace("\n", " ")


def test_what_it_shows_fits_a_page_and_no_colour_goes_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    run("--rate", 1000)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert len(shown.splitlines()) <= 50


def test_colour_is_for_terminals_unless_it_is_unwanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    run("--rate", 1000)
    styled = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    run("--rate", 1000)
    assert "\x1b[1m" in styled
    assert "\x1b[3" not in capsys.readouterr().out


OPTIONS = (
    ("--size", "1KB", {"size": 1024}),
    ("--key-size", "20B", {"key_bytes": 20}),
    ("--keys", "1M", {"keys": KeyDistribution(10**6, 1.0)}),
    ("--skew", "0.5", {"keys": KeyDistribution(10_000, 0.5)}),
    ("--fold", "0.3", {"fold": 0.3}),
    ("--clients", "20", {"clients": 20}),
    ("--producers", "20", {"producers": 20}),
    ("--shards", "7", {"shards": 7}),
    ("--replies", "0.5", {"single_replies": 0.5}),
    ("--replies", "none", {"single_replies": None}),
    ("--peak", "5", {"peak": 5.0}),
    ("--linger", "1s", {"linger": 1.0}),
    ("--lanes", "8", {"lanes": 8}),
    ("--arrivals", "even", {"arrivals": "even"}),
    ("--api", "rest", {"api": "rest"}),
    ("--memory", "512", {"direct_memory": 512}),
    ("--duration-ms", "40", {"direct_seconds": 0.04}),
    ("--direct-writes", "3", {"direct_writes": 3.0}),
    ("--direct-reads", "1", {"direct_reads": 1.0}),
    ("--item-size", "3KB", {"item_bytes": 3072}),
    ("--apply-memory", "512", {"memory": 512}),
    ("--apply-ms", "50", {"invocation_seconds": 0.05}),
    ("--apply-us", "400", {"request_seconds": 0.0004}),
    ("--objects", "2", {"objects": 2.0}),
)


@pytest.mark.parametrize(("option", "text", "means"), OPTIONS)
def test_an_option_reaches_the_model(option: str, text: str, means: dict[str, object], tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    assert run("--rate", 300, option, text, "--json", out) == 0
    found = json.loads(out.read_text())["modes"]
    expected = advise(300, Assumptions(**means), Wanted(), list_prices()).options  # type: ignore[arg-type] # a row each
    usual = advise(300, Assumptions(), Wanted(), list_prices()).options
    assert {mode: found[mode]["per_million"] for mode in DESIGNS} == pytest.approx(
        {mode: expected[mode].point.per_million for mode in DESIGNS}
    )
    assert any(expected[mode].point != usual[mode].point for mode in DESIGNS), "it makes a difference"


@pytest.mark.parametrize(
    ("arguments", "means"),
    [
        (["--object-size", "20KB"], {"object_bytes": 20_480}),
        (["--objects-replaced"], {"objects_replaced": True}),
        (["--object-days", "365"], {"object_days": 365.0}),
        (["--claim-check", "200KB"], {"claim_check": 204_800}),
        (["--claim-check", "none"], {"claim_check": None}),
        (["--upload-days", "2"], {"upload_days": 2.0}),
        (["--s3-ms", "50"], {"s3_seconds": 0.05}),
        (["--arm64"], {"arm64": True}),
    ],
)
def test_an_option_on_what_lies_in_s3_and_where_functions_run_reaches_the_model(
    arguments: list[str], means: dict[str, object], tmp_path: Path
) -> None:
    out = tmp_path / "cost.json"
    large = ("--rate", 10, "--window", 60, "--size", "100KB", "--objects", 2)
    given: dict[str, object] = {"size": 102_400, "objects": 2.0}
    assert run(*large, *arguments, "--json", out) == 0
    found = json.loads(out.read_text())["modes"]["buffered"]["per_million"]
    expected, usual = (
        advise(10, Assumptions(**(given | its)), Wanted(window=60), list_prices()).options["buffered"]  # type: ignore[arg-type]
        for its in (means, {})
    )
    assert found == pytest.approx(expected.point.per_million)
    assert found != pytest.approx(usual.point.per_million, rel=1e-6)


def test_it_says_what_lies_in_s3_and_what_a_price_of_ones_own_is_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--rate", 10, "--size", "1MB", "--objects", 2, "--object-size", "20KB") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Without DynamoDB, objects, replies and archive: " in shown
    assert "S3: PUT requests, objects $10.00 $10.00 $10.00 $10.00" in shown
    assert "S3: PUT requests, uploads $5.00 $5.00 $5.00" in shown
    assert "Rules return 2 objects a request, of 20,480 bytes kept 30 days. Clients upload the data," in shown
    own = tmp_path / "dear.toml"
    own.write_text("date = 2026-10-01\n[s3_puts]\ndollars = 0.01\n")
    assert run("--rate", 10, "--size", "1MB", "--objects", 2, "--prices", own) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "S3: PUT requests, objects $20.00" in shown
    assert "S3: PUT requests, uploads $10.00" in shown


@pytest.mark.parametrize(
    ("arguments", "item"), [(["--on-demand"], "stream_hours"), (["--provisioned"], "shard_hours"), ([], "shard_hours")]
)
def test_the_kind_of_stream(arguments: list[str], item: str, tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    run("--rate", 10, *arguments, "--json", out)
    items = {line["item"] for line in json.loads(out.read_text())["modes"]["buffered"]["lines"]}
    assert items & {"stream_hours", "shard_hours"} == {item}


def test_without_an_archive(tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    run("--rate", 10, "--no-archive", "--json", out)
    assert "firehose_bytes" not in out.read_text()


def test_the_file_has_everything(tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    run("--rate", "1000/s", "--p99", "10s", "--json", out)
    found = json.loads(out.read_text())
    assert (found["schema_version"], found["rate"], found["p99"]) == (1, 1000, 10)
    assert (found["buffer"], found["best"]) == (True, "aggregated")
    assert found["headline"].startswith("Buffering saves ")
    assert found["prices"] == {"date": list_prices().date, "region": "us-east-1"}
    assert found["assumptions"]["keys"] == {"count": 10_000, "skew": 1.0}
    assert list(found["modes"]) == list(DESIGNS)
    mode = found["modes"]["aggregated"]
    assert mode["per_million"] == pytest.approx(sum(line["per_million"] for line in mode["lines"]))
    assert mode["month"] == pytest.approx(mode["per_million"] * 1000 * 3600 * 730 / 1e6)
    assert mode["window"] >= 5
    assert mode["flow"]["p99"] <= 10
    assert 1 < mode["cheaper_from"] < 10
    assert found["if_instead"][0].keys() == {"if", "direct", "buffering"}


def test_ones_own_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "free.toml"
    free = "".join(f"[{name}]\ndollars = 0\n" for name in ("shard_hours", "put_units", "write_units"))
    own.write_text(f'date = 2026-10-01\nregion = "nowhere"\n{free}')
    assert run("--rate", 0.5, "--no-archive", "--replies", "none", "--prices", own) == 0
    shown = capsys.readouterr().out.replace("\n", " ")
    assert shown.startswith("Buffering saves ")
    assert "at any rate" in shown
    assert "Prices of nowhere, 2026-10-01" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "0"], "a rate of 0 requests/s is not possible; use more than 0, at most 1,000,000"),
        (["--rate", "2M"], "a rate of 2,000,000 requests/s is not possible"),
        (["--rate", "10", "--size", "300KB", "--claim-check", "none"], "262,144 are the most: larger data is uploaded"),
        (["--rate", "10", "--size", "6MB"], "of 6,291,456 is not possible; the nearest is 5,242,880"),
        (["--rate", "10", "--objects", "20"], "a number of objects of 20 is not possible; the nearest is 16"),
        (["--rate", "10", "--window", "2500ms"], "a window of 2.5 s is not possible: AWS takes whole seconds; use 2s"),
        (["--rate", "10", "--window", "400"], "of 400 is not possible; the nearest is 300"),
        (["--rate", "10", "--batch", "20k"], "a batch of 20,000 is not possible; the nearest is 10,000"),
        (["--rate", "10", "--lanes", "3"], "use a power of two"),
        (["--rate", "10", "--prices", "/nowhere/x.toml"], "/nowhere/x.toml cannot be read"),
        (["--rate", "10", "--json", "/nowhere/x.json"], "there is no such folder to write to"),
    ],
)
def test_an_error_is_a_message_with_the_nearest_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(*arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("tidemill cost: ")
    assert message in printed.err


def test_a_bound_that_cannot_be_kept_fails_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--rate", 1000, "--p99", "1s") == 1
    printed = capsys.readouterr()
    assert "tidemill cost: aggregated is not possible: " in printed.err
    assert "1.3 s are the least" in printed.err
    assert printed.out.startswith("Buffering is not possible here: ")
    assert run("--rate", 1000, "--p99", "1300ms") == 0


@pytest.mark.parametrize("arguments", [[], ["--rate", "fast"], ["--rate", "1", "--on-demand", "--provisioned"]])
def test_misuse_is_told_by_the_parser(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert "usage: tidemill cost" in capsys.readouterr().err


def test_it_needs_neither_aws_nor_its_library() -> None:
    program = (
        "import sys; from tidemill_cli.main import main; code = main(['cost', '--rate', '100']);"
        "large = {'boto3', 'botocore', 'pandas', 'duckdb', 'yaml'} & sys.modules.keys();"
        "sys.exit(str(large) if large else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


ALB = (
    "https {} app/lb/50dc6c495c0c9188 192.168.131.{}:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "
    '"GET https://www.example.com:443/items/{} HTTP/1.1" "curl/7.46.0" - - arn:aws:x "Root=1" "-" "-" 1 - "-" "-" "-"\n'
)


def alb_log(path: Path, rates: tuple[int, ...]) -> Path:
    """An hour at each of the rates."""
    lines, begin, random = [], datetime(2026, 11, 20, 10, tzinfo=UTC), Random(1).randrange
    for hour, rate in enumerate(rates):
        for number in range(3600 * rate):
            at = begin + timedelta(hours=hour, seconds=number / rate)
            lines.append(ALB.format(at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), random(9), random(40)))
    path.write_bytes(gzip.compress("".join(lines).encode()))
    return path


def test_a_log_is_told_and_then_whether_buffering_pays_hour_by_hour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = alb_log(tmp_path / "alb.log.gz", (1, 12)), tmp_path / "cost.json"
    assert run("--trace", log, "--json", out) == 0
    shown = capsys.readouterr().out
    told, answer = shown.split("\n\n")[:2]
    assert told.splitlines() == [
        "alb.log.gz, an access log of a load balancer: 46,800 requests, 2 hours from 2026-11-20T10:00:00Z on.",
        "6.5 requests a second; a minute has 390 in the median, 60 to 720; the busiest second has 12.",
        "40 keys; the most popular has 2.6% of the requests, as by Zipf's law with 0.02; 9 clients.",
        "Every line is readable.",
    ]
    assert answer.startswith("Buffering saves ")
    assert "Buffering is cheaper in 1 of 2 hours" in shown
    assert re.search(r"^2026-11-20 10:00 +3,600 +1 +1 .* direct$", shown, re.MULTILINE)
    assert re.search(r"^2026-11-20 11:00 +43,200 +12 +1 .* buffered$", shown, re.MULTILINE)
    assert re.search(r"^60 +1 .* saves \d+%$", shown, re.MULTILINE), "a row for each window"
    found = json.loads(out.read_text())
    assert found["rate"] == 6.5
    assert found["trace"]["requests"] == 46_800
    assert found["trace"]["requests_per_minute"] == [60] * 60 + [720] * 60
    assert (found["trace"]["keys"], found["trace"]["clients"], found["trace"]["busiest_second"]) == (40, 9, 12)
    assert [hour["pays"] for hour in found["hours"]] == [False, True]
    assert sum(hour["requests"] for hour in found["hours"]) == 46_800
    millions = {mode: found["modes"][mode]["per_million"] for mode in ("direct", found["best"])}
    for name, mode in (("direct", "direct"), ("buffered", found["best"])):
        in_all = sum(hour[name] for hour in found["hours"])
        assert in_all / 0.0468 == pytest.approx(millions[mode], rel=0.01), "the hours add up"
    assert found["windows"][0]["p99"] < 2 < 5 < found["windows"][3]["p99"]


def test_an_excerpt_and_unreadable_lines_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "".join(f'{{"at": {1_700_000_000 + at}, "key": "k{at % 3}"}}\n' for at in range(600))
    (tmp_path / "own.ndjson").write_text("{\n" + lines)
    fields = ("--trace-time", "at", "--trace-key", "key")
    assert run("--trace", tmp_path, *fields, "--speed", 10, "--seconds", 30, "--clients", 7) == 0
    told = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert told[0].endswith("300 requests, 5 minutes from 2023-11-14T22:13:20Z on.")
    assert told[1] == "Only the first 30 seconds at 10 times its speed, 5 minutes of it were read."
    assert told[-3].endswith("no clients told apart.")
    assert told[-2:] == ["1 line is not readable:", "  line 1 is not readable: not an object of JSON"]


def own_log(folder: Path, apart: int, many: int) -> tuple[object, ...]:
    """The arguments for a log of so many requests, that many seconds apart."""
    folder.mkdir()
    lines = (f'{{"at": {1_700_000_000 + apart * number}, "key": "k"}}\n' for number in range(many))
    (folder / "own.ndjson").write_text("".join(lines))
    return "--trace", folder, "--trace-time", "at", "--trace-key", "key"


def test_one_of_each_is_told_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = own_log(tmp_path / "own", 1, 1)
    (tmp_path / "own" / "notes.txt").write_text("none\n")
    assert run(*log) == 0
    assert capsys.readouterr().out.split("\n\n")[0].splitlines() == [
        "own.ndjson, JSON with at, key: 1 request, 60 seconds from 2023-11-14T22:13:20Z on.",
        "0.0167 requests a second; a minute has 1 in the median, 1 to 1; the busiest second has 1.",
        "1 key; the most popular has 100% of the requests, as by Zipf's law with 0; no clients told apart.",
        "Every line is readable.",
        "1 file of the folder holds no request, such as notes.txt.",
    ]


@pytest.mark.parametrize(("apart", "many", "sampled"), [(600, 6 * 100, False), (600, 6 * 101, True)])
def test_what_is_reckoned_from_a_part_of_a_log_says_so(
    apart: int, many: int, sampled: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cost.json"
    assert run(*own_log(tmp_path / "own", apart, many), "--json", out) == 0
    said = "Break-evens, windows and what would be instead are reckoned from 10 hours in parts of it."
    assert (said in capsys.readouterr().out) is sampled
    if not sampled:
        found = json.loads(out.read_text())
        chosen = next(one for one in found["windows"] if one["seconds"] == found["modes"]["buffered"]["window"])
        assert chosen["per_million"] == found["modes"][found["best"]]["per_million"], "the same in both tables"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "missing.log"], "there is no file missing.log"),
        (["--trace", "LOG", "--keys", "10"], "--keys is for --rate"),
        (["--trace", "LOG", "--clients", "10"], "this one tells them apart"),
        (["--trace", "LOG", "--seconds", "0"], "are more than 0"),
        (["--trace", "LOG", "--trace-key", "k"], "needs --trace-time and --trace-key"),
        (["--trace", "LOG", "--trace-key", "k", "--trace-time", "t"], "no request in JSON or CSV with such fields"),
        (["--rate", "5", "--speed", "2"], "--seconds and --speed are for --trace"),
        (["--rate", "5", "--trace-key", "k"], "--trace-key is for a log: name it by --trace"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = alb_log(tmp_path / "alb.log.gz", (1,))
    assert run(*(str(log) if one == "LOG" else one for one in arguments)) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err


def test_a_log_or_a_rate_and_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("--rate", 1, "--trace", "x")):
        with pytest.raises(SystemExit):
            run(*arguments)
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_time_beyond_the_calendar_is_told_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "host\tlogname\ttime\tmethod\turl\tresponse\tbytes\treferer\tuseragent\n"
    (tmp_path / "a.tsv").write_text(header + "h\t-\t8072568000000\tGET\t/\t200\t1\t\t\n")
    assert run("--trace", tmp_path / "a.tsv") == 0
    assert "from second 8,072,568,000,000 on" in capsys.readouterr().out
