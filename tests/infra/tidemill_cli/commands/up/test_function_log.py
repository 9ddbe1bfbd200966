"""What is shown of the functions' logs."""

from pathlib import Path
from uuid import uuid4

import pytest

from tidemill_cli.commands.up.function_log import MOST_LINES, FunctionLog, shown
from tidemill_cli.commands.up.rules import RulesWatch
from tidemill_local.emulator import Emulator

NO_BREAK = "\N{NO-BREAK SPACE}" * 2
CODE = f"/tmp/my own/tidemill-x/ministack-provided-code-45123/{'a1' * 32}"
DRAW = '    File "shop/draw.py", line 3'


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("hello\n", ["hello"]),
        ("[WARNING]\t2026-11-28T20:23:39.456Z\tid\tno\rTrace\r    x\n", ["WARNING no", "  Trace", "      x"]),
        (f"[ERROR] KeyError: 'x'\rTrace\r{NO_BREAK}File\n", ["[ERROR] KeyError: 'x'", "  Trace", "    File"]),
        (f'[WARNING]\t2026-11-28T20:23:39Z\tid\tno\n  File "{CODE}/shop/draw.py", line 3', ["WARNING no", DRAW]),
        (f"error: cannot read {CODE.replace(' ', '_')}/draw.py", ["error: cannot read draw.py"]),
        ("\x1b[2J", ["\\x1b[2J"]),
        ("START RequestId: 1 Version: $LATEST\n", []),
        ("END RequestId: 1\n", []),
        ("REPORT RequestId: 1\tDuration: 1 ms\n", []),
        ("INIT_REPORT Init Duration: 1 ms\n", []),
        ('{"_aws": {}}\n', []),
    ],
)
def test_an_event_is_shown_as_lines_and_none_of_lambdas_own(message: str, lines: list[str]) -> None:
    assert list(shown(message)) == lines


def test_the_log_is_followed_from_a_time_on(emulator: Emulator) -> None:
    logs, name = emulator.client("logs"), f"tidemill-{uuid4()}"
    log = FunctionLog(logs, {"apply": name}, 1000)
    assert list(log.new()) == []
    group, stream = name, "one"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)

    def put(*events: tuple[int, str]) -> None:
        entries = [{"timestamp": at, "message": text} for at, text in events]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=entries)

    put((999, "before"), (1000, "a"), (1001, "b"))
    assert list(log.new()) == ["apply: a", "apply: b"]
    assert list(log.new()) == []
    put((1001, "in the same millisecond"), (1002, "c"))
    assert list(log.new()) == ["apply: in the same millisecond", "apply: c"]
    put(*((1003, str(n)) for n in range(MOST_LINES + 5)))
    *_, last = log.new()
    assert last == f"apply: 5 more lines: aws logs tail {group}"


def test_rules_are_looked_at_by_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watched_rules.py").write_text("RULES = {}")
    watch = RulesWatch("watched_rules")
    assert not watch.have_changed()
    (tmp_path / "watched_rules.py").write_text("RULES = {7: 7}")
    assert [watch.have_changed(), watch.have_changed()] == [True, False]
    (tmp_path / "watched_rules.py").unlink()
    assert watch.have_changed()
    assert not RulesWatch("tidemill_consumers.media").have_changed()
