"""The bench, its page and `tidemill cost` say the same of the same requests: dollars, p99, and the break-even."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.tree import NASA
from tidemill_cli.commands import bench, cost
from tidemill_cli.commands.bench.runs import NotPossible, check_rate
from tidemill_load.assessment.comparison import per_million
from tidemill_load.assessment.verdict import verdicts
from tidemill_load.report import costs
from tidemill_load.results.result import Measurement, Result, from_json
from tidemill_load.workloads.synthetic import Shape, generate

SAME = 0.1
"""What they may differ by."""

OWN = ("--trace-time", "at", "--trace-key", "key", "--trace-client", "client")


@dataclass(frozen=True)
class Point:
    """What is asked of both: how the requests come, and the settings."""

    load: tuple[object, ...]
    window: int = 5
    batch: int = 10_000


STEADY = [
    Point(("--rate", 0.5)),
    Point(("--rate", 1), window=1),
    Point(("--rate", 2), window=60),
    Point(("--rate", 5)),
    Point(("--rate", 10), window=20),
    Point(("--rate", 30), window=2),
    Point(("--rate", 100)),
    Point(("--rate", 300), window=1, batch=1_000),
]


def log(folder: Path, name: str) -> Path:
    """A log of one's own whose requests come in bursts of some kind."""
    random = Random(7)
    if name == "burst":  # 74 requests within a second, and a minute's silence
        rows = [(n / 80, f"k{random.randrange(9)}", f"c{random.randrange(5)}") for n in range(74)]
    elif name == "hourly":  # a job that asks for much once an hour, beside a few people
        rows = [(random.random() * 7200, f"k{random.randrange(500)}", f"c{random.randrange(40)}") for _ in range(900)]
        rows += [(3600 + n / 50, f"k{n % 700}", "job") for n in range(3_000)]
    else:
        shape = Shape(kind="bursty", keys=200, clients=30)
        planned = generate(shape, 3 if name == "calm" else 40, 600 if name == "calm" else 120, 1)
        rows = [(one.at, one.key, one.client) for one in planned]
    lines = [json.dumps({"at": 1_700_000_000 + at, "key": key, "client": client}) for at, key, client in sorted(rows)]
    path = folder / f"{name}.ndjson"
    path.write_text("\n".join(lines) + "\n")
    return path


BURSTY = [
    (Point(()), "burst", 1, 60),
    (Point((), window=1), "burst", 1, 30),
    (Point(()), "calm", 1, 600),
    (Point((), window=20), "busy", 1, 120),
    (Point(()), "hourly", 1, 7200),
    (Point((), window=30), "hourly", 10, 720),
    (Point((), window=20, batch=40), "burst", 1, 60),
]

REAL = [
    (Point(()), 1, 3600),
    (Point(()), 5, 600),
    (Point(()), 20, 300),
    (Point((), window=1), 60, 60),
    (Point(()), 200, 60),
    (Point((), window=60, batch=1_000), 600, 77),
]


def benched(folder: Path, *arguments: object) -> Result:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    out = folder / "bench.json"
    modes = ("--modes", "direct,buffered,aggregated")
    args = parser.parse_args([str(one) for one in ("--simulate", *modes, "--json", out, *arguments)])
    assert bench.run(args) == 0
    return from_json(out.read_bytes())


def asked(folder: Path, *arguments: object) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    cost.add_arguments(parser)
    out = folder / "cost.json"
    assert cost.run(parser.parse_args([str(one) for one in ("--json", out, *arguments)])) == 0
    found: dict[str, object] = json.loads(out.read_text())
    return found


def agree(found: Result, answer: dict[str, object]) -> None:
    """All three: what was measured, what the page says, and what the command does."""
    (verdict,) = verdicts(found)
    said = answer["modes"]
    assert isinstance(said, dict)
    for one in found.measurements:
        assert per_million(one) == pytest.approx(said[one.mode]["per_million"], rel=SAME), one.mode
        assert one.latency.p99 == pytest.approx(said[one.mode]["flow"]["p99"], rel=SAME), one.mode
    assert verdict.model == pytest.approx((verdict.direct, verdict.streamed, verdict.p99), rel=SAME)
    assert verdict.even == pytest.approx(said[verdict.mode]["cheaper_from"], rel=SAME)
    assert verdict.pays == answer["buffer"] or verdict.direct == pytest.approx(verdict.streamed, rel=SAME)
    told = re.findall(r"Below ([\d.,]+) requests a second direct is cheaper than ([a-z ]+)", costs.cost(found).caption)
    page = {mode: float(rate.replace(",", "")) for rate, modes in told for mode in modes.split(" and ")}
    assert page[verdict.mode] == pytest.approx(verdict.even, rel=SAME)


@pytest.mark.parametrize("point", STEADY, ids=lambda point: f"{point.load[1]}/s, {point.window} s")
def test_on_requests_at_a_steady_rate(point: Point, tmp_path: Path) -> None:
    rate = float(str(point.load[1]))
    settings = ("--window", point.window, "--batch", point.batch)
    keys = ("--keys", 500, "--skew", 0.8, "--clients", 50, "--size", 250)
    found = benched(tmp_path, "--rates", rate, "--seconds", max(240, 4_000 / rate), *settings, *keys)
    agree(found, asked(tmp_path, *point.load, *settings, *keys, "--producers", 1, "--key-size", 11))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [20, 200])
@pytest.mark.parametrize("producers", [50, 2_000])
def test_on_requests_of_many_producers(rate: float, producers: int, tmp_path: Path) -> None:
    keys = ("--keys", 100, "--size", 250, "--producers", producers, "--window", 5, "--batch", 10_000)
    found = benched(tmp_path, "--rates", rate, "--seconds", 20_000 / rate, *keys)
    answer = asked(tmp_path, "--rate", rate, *keys, "--clients", producers, "--key-size", 11, "--item-size", 290)
    agree(found, answer)
    said: Any = answer["modes"]
    for one in found.measurements[1:]:
        entities, forgotten = said[one.mode]["write_units_per_request"].values()
        assert one.write_units is not None
        assert one.forgotten_units is not None
        assert one.invocations is not None
        noted = one.write_units - one.invocations  # each notes that it begins
        assert noted / one.requests == pytest.approx(entities + forgotten, rel=SAME), one.mode
        # By little of what there is in all; items that are not full yet forget nothing.
        assert one.forgotten_units / one.requests == pytest.approx(forgotten, rel=0.25, abs=0.03 * entities), one.mode


def test_the_writers_of_a_key_are_told_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benched(tmp_path, "--rates", 50, "--seconds", 60, "--keys", 1, "--producers", 2_000)
    shown = " ".join(capsys.readouterr().out.split())
    assert re.search(
        r"aggregated: 1,\d{3} writers per entity; .* a request, [\d.]+ of them for forgotten writers", shown
    )


@pytest.mark.parametrize(("point", "name", "speed", "seconds"), BURSTY)
def test_on_logs_of_bursts(point: Point, name: str, speed: float, seconds: float, tmp_path: Path) -> None:
    load = ("--trace", log(tmp_path, name), *OWN, "--speed", speed, "--seconds", seconds)
    settings = ("--window", point.window, "--batch", point.batch)
    agree(benched(tmp_path, *load, *settings), asked(tmp_path, *load, *settings))


@pytest.mark.parametrize(("point", "speed", "seconds"), REAL, ids=lambda one: str(one))
def test_on_a_real_log_at_many_speeds(point: Point, speed: float, seconds: float, tmp_path: Path) -> None:
    if not NASA.exists():
        pytest.skip(f"the real trace is not at {NASA}")
    load = ("--trace", NASA, "--speed", speed, "--seconds", seconds)
    settings = ("--window", point.window, "--batch", point.batch)
    agree(benched(tmp_path, *load, *settings), asked(tmp_path, *load, *settings))


def test_a_log_that_ends_early_is_not_followed_by_an_hour_of_silence(tmp_path: Path) -> None:
    found = benched(tmp_path, "--trace", log(tmp_path, "burst"), *OWN, "--speed", 1)
    assert (found.seconds, {one.span for one in found.measurements}) == (60, {60})


def test_rates_that_this_machine_does_not_send_are_refused_with_an_estimate() -> None:
    check_rate("direct", 900, most=320)
    with pytest.raises(NotPossible, match=r"direct at 5,000 requests/s: this machine sends about 320; lower --rates"):
        check_rate("direct", 5_000, most=320)
    with pytest.raises(
        NotPossible, match=r"sends about 320; lower --speed, leave direct out of --modes, or take --simu"
    ):
        check_rate("direct", 5_000, most=320, lowers="--speed")


@pytest.mark.parametrize("producers", [1, 3])
def test_the_command_that_gives_the_same_by_arithmetic_can_be_pasted(
    producers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my logs").mkdir()
    path = log(tmp_path / "my logs", "burst")
    monkeypatch.setenv("COLUMNS", "40")
    result = benched(tmp_path, "--trace", path, *OWN, "--speed", 2, "--seconds", 60, "--producers", producers)
    shown = capsys.readouterr().out
    [line] = re.findall(r"^the same by arithmetic: \S+ cost (.*)$", shown, re.MULTILINE)
    words = shlex.split(line)
    assert words[:8] == ["--trace", str(path), *map(str, OWN)]
    (verdict,) = verdicts(result)
    found = asked(tmp_path, *words)
    said: Any = found["modes"]
    given: Any = found["assumptions"]
    assert given["producers"] == producers
    assert said[verdict.mode]["per_million"] == pytest.approx(verdict.model[1], rel=0.01)
    assert result.notes[-1].startswith(
        "All of this is for 2 times the log's traffic; for its own, without sending any: "
    )
    own = shlex.split(result.notes[-1].rsplit(": ", 1)[1])
    assert own[1:] == ["cost", "--trace", str(path), *map(str, OWN), *(["--producers", "3"] if producers == 3 else [])]


def test_a_log_at_its_own_speed_is_not_another_traffic(tmp_path: Path) -> None:
    result = benched(tmp_path, "--trace", log(tmp_path, "burst"), *OWN, "--speed", 1)
    assert not any("times the log's traffic" in note for note in result.notes)


def test_a_burst_and_silence_is_paid_for_in_full(tmp_path: Path) -> None:
    found = benched(tmp_path, "--trace", log(tmp_path, "burst"), *OWN, "--speed", 1, "--seconds", 60)
    by_mode: dict[str, Measurement] = {one.mode: one for one in found.measurements}
    hours = by_mode["buffered"].bill["shard_hours"]
    assert hours == pytest.approx(60 / 3600 * 0.015)
    (verdict,) = verdicts(found)
    assert not verdict.pays, "74 requests a minute are cheaper one by one"
    assert verdict.rate == pytest.approx(74 / 60, abs=0.001)
