"""The emulator's life: it starts where it is told, keeps to itself, and leaves nothing behind."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidemill_local.emulator import Emulator, EmulatorDied, PortInUse

Becomes = Callable[[Callable[[], bool]], bool]
Runs = Callable[[int], bool]

FUNCTION = """
import io, json, sys, zipfile
from tidemill_local.emulator import Emulator

CODE = '''
import os, subprocess, threading
def handler(event, context):
    if event.get("stuck"):
        child = subprocess.Popen(["sleep", "600"])
        open(event["stuck"], "w").write(f"{os.getpid()} {child.pid}")
        threading.Event().wait(600)
    return os.getpid()
'''

def add(emulator):
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", CODE)
    role = emulator.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    emulator.client("lambda").create_function(
        FunctionName="f", Runtime="python3.12", Role=role, Handler="f.handler",
        Code={"ZipFile": code.getvalue()}, Timeout=600,
    )

def invoke(emulator, event, kind="RequestResponse"):
    return emulator.client("lambda").invoke(
        FunctionName="f", Payload=json.dumps(event), InvocationType=kind
    )["Payload"].read()
"""

PARENT = """
if __name__ == "__main__":
    emulator = Emulator(port=0)
    emulator.start()
    add(emulator)
    worker = invoke(emulator, {}).decode()
    invoke(emulator, {"stuck": sys.argv[1]}, "Event")
    print(worker, flush=True)
    sys.stdin.read()
"""

functions = types.ModuleType("functions")
exec(FUNCTION, functions.__dict__)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where emulators of this test make their folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def parent(temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that runs an emulator with one worker idle and one amid an invocation."""
    process = subprocess.Popen(
        [sys.executable, "-c", FUNCTION + PARENT, str(temporary.parent / "stuck")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def stuck_pids(file: Path) -> list[int]:
    return [int(pid) for pid in file.read_text().split()] if file.exists() else []


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_parent(
    parent: subprocess.Popen[str], by: signal.Signals, temporary: Path, becomes: Becomes, runs: Runs
) -> None:
    assert parent.stdout
    idle = int(parent.stdout.readline())
    assert becomes(lambda: len(stuck_pids(temporary.parent / "stuck")) == 2)
    pids = [idle, *stuck_pids(temporary.parent / "stuck")]
    assert all(runs(pid) for pid in pids)
    parent.send_signal(by)
    assert becomes(lambda: not any(runs(pid) for pid in pids))
    assert becomes(lambda: list(temporary.iterdir()) == [])


def test_nothing_survives_the_parent_and_the_launcher(
    parent: subprocess.Popen[str], temporary: Path, becomes: Becomes, runs: Runs
) -> None:
    assert parent.stdout
    idle = int(parent.stdout.readline())
    assert becomes(lambda: len(stuck_pids(temporary.parent / "stuck")) == 2)
    launcher = launcher_of(idle)
    pids = [idle, launcher, *stuck_pids(temporary.parent / "stuck")]
    os.kill(launcher, signal.SIGSTOP)  # lest it notices what becomes of the parent
    parent.kill()
    os.kill(launcher, signal.SIGKILL)
    assert becomes(lambda: not any(runs(pid) for pid in pids))
    assert becomes(lambda: list(temporary.iterdir()) == [])


def test_a_launcher_that_is_killed_leaves_no_invocation_in_flight(
    temporary: Path, becomes: Becomes, runs: Runs
) -> None:
    with Emulator(port=0) as emulator:
        functions.add(emulator)
        functions.invoke(emulator, {"stuck": str(temporary.parent / "stuck")}, "Event")
        assert becomes(lambda: len(stuck_pids(temporary.parent / "stuck")) == 2)
        pids = stuck_pids(temporary.parent / "stuck")
        os.kill(launcher_of(pids[0]), signal.SIGKILL)
        assert becomes(lambda: not any(runs(pid) for pid in pids))
        assert emulator.kept.exists(), "others may still write there"
    assert list(temporary.iterdir()) == []


def test_stop_sweeps_though_the_sweeper_is_killed(temporary: Path, becomes: Becomes, runs: Runs) -> None:
    with Emulator(port=0) as emulator:
        functions.add(emulator)
        worker = int(functions.invoke(emulator, {}))
        found = subprocess.run(["pgrep", "-f", f"sh .*{emulator.kept}$"], capture_output=True, text=True, check=True)
        os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    assert becomes(lambda: not runs(worker))
    assert list(temporary.iterdir()) == []


def test_stop_ends_an_invocation_in_flight(temporary: Path, becomes: Becomes, runs: Runs) -> None:
    with Emulator(port=0) as emulator:
        functions.add(emulator)
        functions.invoke(emulator, {"stuck": str(temporary.parent / "stuck")}, "Event")
        assert becomes(lambda: len(stuck_pids(temporary.parent / "stuck")) == 2)
    assert not emulator.alive()
    assert becomes(lambda: not any(runs(pid) for pid in stuck_pids(temporary.parent / "stuck")))
    assert list(temporary.iterdir()) == []
    emulator.stop()


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_an_emulator_that_is_killed_is_reported_and_cleared_away(
    by: signal.Signals, temporary: Path, becomes: Becomes, runs: Runs
) -> None:
    with Emulator(port=0) as emulator:
        functions.add(emulator)
        worker = int(functions.invoke(emulator, {}))
        emulator.check()
        os.kill(launcher_of(worker), by)
        assert becomes(lambda: not emulator.alive())
        assert becomes(lambda: not runs(worker))
        with pytest.raises(EmulatorDied, match="ended with"):
            emulator.check()
    assert becomes(lambda: list(temporary.iterdir()) == [])


def launcher_of(worker: int) -> int:
    found = subprocess.run(["ps", "-o", "ppid=", "-p", str(worker)], capture_output=True, text=True, check=True)
    return int(found.stdout)


def test_ctrl_c_is_the_parents_to_decide_upon(temporary: Path) -> None:
    with Emulator(port=0) as emulator:
        functions.add(emulator)
        worker = int(functions.invoke(emulator, {}))
        for pid in (worker, launcher_of(worker)):
            os.kill(pid, signal.SIGINT)
        assert int(functions.invoke(emulator, {})) == worker


def test_a_port_in_use_is_told_with_the_remedy(emulator: Emulator) -> None:
    port = int(emulator.endpoint_url.rpartition(":")[2])
    with pytest.raises(PortInUse, match=rf"port {port} is in use by another emulator; .* --port 0"):
        Emulator(port).start()
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PortInUse, match=r"is in use; stop"):
        Emulator(other.getsockname()[1]).start()


def test_starts_on_the_port_it_is_told(temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with Emulator(port) as emulator:
        assert emulator.endpoint_url == f"http://127.0.0.1:{port}"
        assert emulator.client("sts").get_caller_identity()["Account"]


def test_it_is_there_under_both_names_of_this_machine(emulator: Emulator) -> None:
    port = int(emulator.endpoint_url.rpartition(":")[2])
    try:
        connection = http.client.HTTPConnection("::1", port, timeout=10)
        connection.connect()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    connection.request("GET", "/_ministack/health")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_start_that_fails_says_why_and_leaves_nothing(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(EmulatorDied, match="ended with 1; its last words"):
        Emulator(port=0).start()
    assert list(temporary.iterdir()) == []


def test_the_users_own_aws_settings_do_not_matter(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "mine",
        "AWS_SESSION_TOKEN": "mine",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_CA_BUNDLE": "/nowhere",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    sts = emulator.session("test", "test").client("sts")
    assert sts.get_caller_identity()["Arn"].endswith(":root")
    assert sts.meta.region_name == "us-east-1"


def test_localstacks_own_tools_are_let_in(emulator: Emulator) -> None:
    """localstack-client signs with these unless told otherwise."""
    sts = emulator.session("accesskey", "secretkey").client("sts")
    assert sts.get_caller_identity()["Arn"].endswith(":root")


def test_strangers_are_not(emulator: Emulator) -> None:
    sts = emulator.session("AKIASTRANGER00000000", "guess").client("sts")
    with pytest.raises(sts.exceptions.ClientError, match="security token included in the request is invalid"):
        sts.get_caller_identity()


def test_one_client_for_all_who_ask(emulator: Emulator) -> None:
    assert emulator.client("sqs") is emulator.client("sqs")


def test_the_environment_points_any_tool_here(emulator: Emulator) -> None:
    command = [sys.executable, "-c", "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"]
    environment = {"PATH": os.environ["PATH"], **emulator.environment}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip().endswith(":root")
