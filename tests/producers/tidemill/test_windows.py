"""The SDK where the system lacks what POSIX has: all of it works but the spool, which says so."""

import subprocess
import sys
from pathlib import Path

from tests.answering import service

WITHOUT = """
import os, signal, socket, sys
import boto3, botocore.session, multiprocessing  # theirs is theirs
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "posix"):
    sys.modules[name] = None
for name in ("chown", "fchmod", "fchown", "fork", "forkpty", "geteuid", "getuid", "getgid", "getegid", "getppid",
             "kill", "killpg", "mkfifo", "mknod", "pread", "pwrite", "register_at_fork", "setsid", "uname", "wait3",
             "wait4", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY"):
    if hasattr(os, name): delattr(os, name)
for name in ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGXFSZ", "setitimer", "alarm", "pthread_sigmask"):
    if hasattr(signal, name): delattr(signal, name)
"""


def run(script: str, *args: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + script, *args], capture_output=True, text=True, timeout=60, env=env or None
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_sdk_can_be_imported() -> None:
    assert run("import tidemill\nfrom tidemill import *\nprint(len(tidemill.__all__) > 20)") == "True"


def test_it_sends() -> None:
    script = """
from tidemill import Producer
with Producer("requests", linger=0) as producer:
    print(producer.send("c", key="k").result(30).shard)
"""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    with service() as there:
        assert run(script, AWS_ENDPOINT_URL=there.url, **keys) == "shardId-000000000000"


def test_the_spool_says_what_it_needs(tmp_path: Path) -> None:
    script = """
from tidemill import Spool, SpoolBroken
try:
    Spool(sys.argv[1])
except SpoolBroken as error:
    print(error)
"""
    told = run(script, str(tmp_path / "spool"))
    assert "it needs locks of files, which linux does not have; use a spool on Linux or macOS" in told
    assert not (tmp_path / "spool").exists()
