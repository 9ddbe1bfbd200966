"""The load test, as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import running
from tests.tree import NASA
from tidemill_load.assessment.verdict import verdicts
from tidemill_load.results.result import Measurement, Result, from_json

pytestmark = pytest.mark.timeout(600)


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("tidemill")), "bench", *arguments]


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        cwd=folder,
        env=environment(folder),
    )


def result(folder: Path) -> tuple[Result, dict[str, Measurement]]:
    found = from_json((folder / "out.json").read_bytes())
    return found, {one.mode: one for one in found.measurements}


def is_whole(one: Measurement) -> bool:
    return (one.lost, one.duplicates, one.reordered, one.errors) == (0, 0, 0, 0) and one.receipts == one.requests > 0


def test_all_modes_in_one_run_with_nothing_lost_and_a_report(tmp_path: Path) -> None:
    shape = ["--rates", "10", "--seconds", "6s", "--window", "2", "--keys", "10", "--clients", "5"]
    objects = ["--objects", "2", "--object-size", "2KB"]
    done = bench(tmp_path, *shape, *objects, "--json", "out.json", "--html", "out.html")
    assert done.returncode == 0, done.stdout + done.stderr
    found, by_mode = result(tmp_path)
    direct, buffered, aggregated = (by_mode[mode] for mode in ("direct", "buffered", "aggregated"))
    assert all(map(is_whole, (direct, buffered, aggregated)))
    assert direct.object_puts == 2 * direct.requests
    assert direct.object_bytes == 2048 * direct.object_puts
    for streamed in (buffered, aggregated):
        assert 0 < (streamed.object_puts or 0) < 0.8 * direct.object_puts, "those alone that documents name in the end"
        assert streamed.bill["object_puts"] == pytest.approx((streamed.object_puts or 0) * 5e-6)
    assert "--objects 2 --object-size 2048 --s3-ms 0 --objects-replaced" in done.stdout.replace("\n", " ")
    assert direct.requests == buffered.requests == aggregated.requests, "the same workload"
    assert direct.requests + direct.retries == direct.invocations == direct.http_requests
    assert direct.write_units == direct.write_calls == direct.requests
    for streamed in (buffered, aggregated):
        assert 0 < (streamed.invocations or 0) <= direct.requests / 5
        assert 0 < (streamed.write_units or 0) < direct.requests
        assert 0 < (streamed.reply_messages or 0) < streamed.requests
        assert (streamed.gb_seconds or 0) > 0
    assert direct.records == direct.shards == 0
    assert buffered.records == buffered.put_units == buffered.requests
    assert 0 < aggregated.records < buffered.records
    assert all(one.slices == 2 and one.bill for one in (direct, buffered, aggregated))
    assert set(by_mode) == {"direct", "buffered", "aggregated"}, "modes that can run, and no other"
    assert (found.target, found.window, found.stopped, found.seconds) == ("local", 2, False, 6.0)
    assert " answered, p95 " in done.stdout, "it says how far it is"
    assert "<svg" in (tmp_path / "out.html").read_text()
    left = {path.name for path in tmp_path.iterdir()} - {".cache", ".config"}  # where the charts keep their fonts
    assert left == {"out.html", "out.json"}


@pytest.mark.slow
def test_many_producers_are_as_many_writers_and_nothing_is_lost(tmp_path: Path) -> None:
    shape = ["--rates", "40", "--seconds", "5s", "--slices", "1", "--window", "2", "--keys", "4", "--producers", "60"]
    done = bench(tmp_path, *shape, "--json", "out.json", "--html", "out.html")
    assert done.returncode == 0, done.stdout + done.stderr
    found, by_mode = result(tmp_path)
    direct, buffered, aggregated = (by_mode[mode] for mode in ("direct", "buffered", "aggregated"))
    assert all(map(is_whole, (direct, buffered, aggregated)))
    assert (found.workload.parameters["producers"], found.workload.parameters["clients"]) == (60, 60)
    assert aggregated.records > 0.9 * aggregated.requests, "sixty producers share no records"
    assert aggregated.put_calls < aggregated.records, "but calls"
    for one in (direct, buffered, aggregated):
        assert one.accepted == one.requests
        assert 15 < (one.writers_per_key or 0) <= 60
        assert (one.item_bytes or 0) > 100
    assert "--producers 60" in done.stdout, "the arithmetic is for as many"
    assert done.stdout.count(" writers per entity; an item of ") == 3
    page = (tmp_path / "out.html").read_text()
    assert all(
        name in page for name in ("writers per entity", "bytes of an item", "of them for forgotten writers, a request")
    )


@pytest.mark.slow
@pytest.mark.skipif(not NASA.exists(), reason="the NASA trace is not beside this checkout")
def test_a_real_trace_at_another_speed(tmp_path: Path) -> None:
    trace = ["--trace", str(NASA), "--speed", "20", "--seconds", "6s", "--slices", "1", "--window", "2"]
    done = bench(tmp_path, *trace, "--modes", "direct,aggregated", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    found, by_mode = result(tmp_path)
    assert all(map(is_whole, by_mode.values()))
    assert found.workload.kind == "trace"
    parameters = {"file": NASA.name, "speed": 20.0, "requests": by_mode["direct"].requests, "unreadable": 0}
    assert found.workload.parameters.items() >= parameters.items()
    assert sum(found.workload.arrivals[0].slots) == by_mode["direct"].requests
    assert all(one.span == 6 for one in by_mode.values()), "the whole time is paid for"
    assert "of nasa_19950801.tsv (trace TSV): the first 2 minutes, in 6 seconds: " in done.stdout
    (verdict,) = verdicts(found)
    assert verdict.model[:2] == pytest.approx((verdict.direct, verdict.streamed), rel=0.1)  # p99 is the machine's too


@pytest.mark.slow
def test_ctrl_c_writes_what_was_measured_so_far(tmp_path: Path) -> None:
    # The direct turn is done when it is stopped; the aggregated one is under way.
    shape = ["--rates", "5", "--seconds", "3s", "--slices", "1", "--window", "10", "--modes", "direct,aggregated"]
    shaped = command(*shape, "--json", "out.json")
    with running(shaped, tmp_path, environment(tmp_path), stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if seen[-2:-1] == ["aggregated at 5 requests/s, 1 of 1\n"]:
                process.send_signal(signal.SIGINT)
                break
        rest, problems = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + rest + problems
    found, by_mode = result(tmp_path)
    assert found.stopped
    assert is_whole(by_mode["direct"])
    partial = by_mode["aggregated"]
    assert partial.requests > partial.receipts
    assert partial.lost is None, "they were not waited for"
    assert "stopped" in rest
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.slow
def test_a_simulated_hour_and_a_limit_that_is_passed(tmp_path: Path) -> None:
    shape = ["--simulate", "--rates", "20", "--seconds", "1h", "--window", "60", "--batch", "10k"]
    done = bench(tmp_path, *shape, "--json", "out.json", "--fail-if", "aggregated.p99>30s", "--fail-if", "lost>0")
    assert done.returncode == 1
    assert "FAILED: aggregated.p99>30s: aggregated at 20 requests/s has p99 6" in done.stderr
    assert "lost" not in done.stderr
    found, by_mode = result(tmp_path)
    assert found.target == "simulated"
    assert 55 <= (by_mode["aggregated"].invocations or 0) <= 61
    assert by_mode["direct"].invocations == by_mode["aggregated"].requests


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modes", "direct,faster"], "'faster' is no mode"),
        (["--rates", "10,fast"], "'fast' is no rate"),
        (["--rates", "0"], "more than 0"),
        (["--window", "2.5"], "whole seconds, 0 to 300"),
        (["--fail-if", "p99>2"], "say 2s or 2ms"),
        (["--fail-if", "speed>2"], "speed is not measured"),
        (["--speed", "0"], "'0' is no speed"),
        (["--seconds", "0"], "--seconds is more than 0"),
        (["--producers", "0"], "no whole number of 1 or more"),
        (["--producers", "1G"], "1,000,000 are the most"),
        (["--producers", "5", "--clients", "5"], "--clients is for one producer"),
        (["--speed", "2"], "--speed is for --trace"),
        (["--object-size", "2KB"], "--object-size is for --objects"),
        (["--objects", "2", "--simulate"], "--objects is for this machine"),
        (["--objects", "17"], "a rule returns 16 objects at most"),
        (["--objects", "2", "--object-size", "600KB"], "and 1,048,576 bytes of them"),
        (["--objects", "16", "--object-size", "64KB", "--rates", "20"], "MiB of objects would be stored, and 512 are"),
        (["--trace", "missing.log", "--rates", "5"], "--rates is for a generated workload"),
        (["--trace", "missing.log", "--keys", "5"], "--keys is for a generated workload"),
        (["--trace-key", "k"], "--trace-key is for a log: name it by --trace"),
        (["--simulate", "--rates", "1M", "--seconds", "1h"], "3,600,000,000 requests take about 50 hours of each mode"),
        (["--workload", "steady"], "invalid choice"),
        (["--trace", "missing.log"], "there is no file missing.log"),
        (["--json", "no/such/folder.json"], "no such folder"),
        (["--html", "."], ". is a folder"),
        (["--simulate", "--modes", "direct"], "nothing to simulate"),
        (["--simulate", "--target", "aws"], "not allowed with"),
    ],
)
def test_bad_arguments_are_named_before_anything_starts(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = bench(tmp_path, *arguments)
    assert done.returncode not in (0, 130)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "starting" not in done.stdout
    assert list(tmp_path.iterdir()) == []
