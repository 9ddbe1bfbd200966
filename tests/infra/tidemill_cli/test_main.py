"""The command `tidemill` itself: help, misuse, what is missing, and the ways to be stopped."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tidemill_cli import result_file

TIDEMILL = str(Path(sys.executable).with_name("tidemill"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def run_main(preparation: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a Python that has been prepared."""
    imports = "import sys\nfrom tidemill_cli import main\nfrom tidemill_cli.commands import demo"
    program = f"{imports}\n{preparation}\nsys.exit(main.main(sys.argv[1:]))"
    return run(sys.executable, "-c", program, *arguments)


@pytest.mark.parametrize(("arguments", "code"), [((), 2), (("--help",), 0)])
def test_it_shows_its_commands(arguments: tuple[str, ...], code: int) -> None:
    done = run(TIDEMILL, *arguments)
    assert done.returncode == code
    shown = done.stderr if code else done.stdout
    for line in ("demo ", "up ", "send ", "bench ", "cost ", "query ", "redrive ", "example: tidemill demo"):
        assert line in shown


def test_it_tells_its_version() -> None:
    done = run(TIDEMILL, "--version")
    assert (done.returncode, done.stdout) == (0, f"tidemill {metadata.version('tidemill')}\n")


def test_rules_that_do_not_load_are_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "hasty.py").write_text("RULES = {(")
    done = subprocess.run(
        [TIDEMILL, "up", "--port", "0", "--rules", "hasty"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("tidemill up: the module hasty has no rules to run: SyntaxError: ")
    assert "running" not in done.stdout


@pytest.mark.parametrize("command", ["demo", "up", "send", "bench", "cost", "query", "redrive", "near"])
def test_each_command_has_help_with_an_example(command: str) -> None:
    done = run(TIDEMILL, command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: tidemill {command} ")
    assert f"  tidemill {command}" in done.stdout or f"example: tidemill {command}" in done.stdout


def test_a_command_that_is_none_is_told_which_there_are() -> None:
    done = run(TIDEMILL, "dmo")
    assert done.returncode == 2
    assert "invalid choice: 'dmo' (choose from" in done.stderr


@pytest.mark.parametrize(
    ("command", "package"),
    [("query", "rich"), ("redrive", "rich"), ("send", "rich"), ("cost", "rich"), ("demo", "duckdb"), ("up", "yaml")],
)
def test_what_is_not_installed_is_told_with_the_remedy(command: str, package: str) -> None:
    done = run_main(f"sys.modules[{package!r}] = None", command)
    assert done.returncode == 1
    assert done.stderr == f"tidemill {command} needs {package}: pip install '.[local]' in the project's folder\n"


def test_a_module_of_its_own_that_is_missing_is_a_bug() -> None:
    done = run_main("sys.modules['tidemill_local.emulator'] = None", "up")
    assert "Traceback" in done.stderr


FIRST_LINE = """
def say(text):
    large = {"boto3", "duckdb", "pandas"} & sys.modules.keys()
    sys.exit(f"{text}; loaded: {large or None}")
demo.command._say = say
"""


def test_the_first_line_waits_for_nothing_large() -> None:
    done = run_main(FIRST_LINE, "demo")
    assert done.stderr == "tidemill: the whole pipe on this machine; nothing leaves it; loaded: None\n"


@pytest.mark.parametrize("command", ["demo", "query"])
def test_a_reader_that_has_gone_is_no_trouble(command: str) -> None:
    there, here = os.pipe()
    os.close(there)
    done = subprocess.run([TIDEMILL, command], stdout=here, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(here)
    assert (done.returncode, done.stderr) == (1, b"")


STOPPED = """
import signal
def stopped(args):
    try:
        signal.raise_signal(signal.{signal})
    except KeyboardInterrupt:
        {then}
demo.run = stopped
"""


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("raise", "stopped\n"),
        ("raise RuntimeError('query interrupted') from None", "stopped\n"),
        ("signal.raise_signal(signal.SIGINT)", ""),
    ],
    ids=["as it is", "as a library puts it", "twice"],
)
def test_a_signal_stops_it(signal: str, then: str, said: str) -> None:
    done = run_main(STOPPED.format(signal=signal, then=then), "demo")
    assert (done.returncode, done.stderr) == (130, said)


IMPORTING = """
def stopped(args):
    try:
        import stopped_amid
    finally:
        print("unwound")
demo.run = stopped
"""


def test_an_import_is_not_interrupted(tmp_path: Path) -> None:
    """A C extension may crash."""
    (tmp_path / "stopped_amid.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)\n")
    done = run_main(f"sys.path.append({str(tmp_path)!r})\n{IMPORTING}", "demo")
    assert (done.returncode, done.stderr, done.stdout) == (130, "stopped\n", "")


FINALIZING = """
import signal, weakref
class Thing: pass
def stopped(args):
    thing = Thing()
    finalizer = weakref.finalize(thing, signal.raise_signal, signal.SIGTERM)
    del thing
    print("went on")
demo.run = stopped
"""


def test_a_stop_amid_a_finalizer_is_not_lost() -> None:
    done = run_main(FINALIZING, "demo")
    assert (done.returncode, done.stderr, done.stdout) == (130, "stopped\n", "")


def test_an_error_of_its_own_is_not_taken_for_a_stop() -> None:
    done = run_main("def bug(args):\n    raise RuntimeError('bug')\ndemo.run = bug", "demo")
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: bug\n")


def test_a_signal_at_the_very_end_is_no_trouble() -> None:
    at_exit = "import atexit, signal\natexit.register(signal.raise_signal, signal.SIGTERM)"
    done = run_main(f"{at_exit}\ndemo.run = lambda args: 0", "demo")
    assert (done.returncode, done.stderr) == (130, "")


def test_results_that_hold_peoples_data_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        result_file.write_private(tmp_path / "new.json", "{}")
    finally:
        os.umask(before)
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "old.json").write_text("longer than that")
    (tmp_path / "old.json").chmod(0o640)
    result_file.write_private(tmp_path / "old.json", "{}")
    assert (tmp_path / "old.json").read_text() == "{}"
    assert (tmp_path / "old.json").stat().st_mode & 0o777 == 0o640


def test_a_message_does_not_go_to_stdout_where_stderr_is_closed() -> None:
    done = run("sh", "-c", f"exec {TIDEMILL} query nope --archive /nowhere 2>&-")
    assert (done.returncode, done.stdout) == (1, "")


def test_output_that_is_closed_is_no_error() -> None:
    done = run("sh", "-c", f"exec {TIDEMILL} cost --rate 10 >&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_input_that_is_closed_is_empty() -> None:
    environment = "AWS_ENDPOINT_URL=http://127.0.0.1:9 AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s AWS_REGION=us-east-1"
    done = run("sh", "-c", f"{environment} exec {TIDEMILL} send --file - --stream s --timeout 1 <&-")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert done.stdout.startswith("0 requests are on the stream")
