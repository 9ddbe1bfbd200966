"""Limits hold for the process that asks for them."""

import signal
import subprocess
import sys

import pytest

TRY = """
import os, socket, sys
from tidemill_media.imaging.limits import confine
kept = os.open(os.devnull, os.O_WRONLY)
confine()
os.write(kept, b"x")
{what}
"""


def tried(what: str) -> tuple[int, str]:
    ran = subprocess.run([sys.executable, "-c", TRY.format(what=what)], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr.splitlines()[-1] if ran.stderr else ""


def test_what_was_open_stays_open() -> None:
    assert tried("pass") == (0, "")


@pytest.mark.parametrize("what", ["os.open('/etc/passwd', os.O_RDONLY)", "socket.socket()", "os.pipe()"])
def test_no_files_and_no_sockets_are_opened(what: str) -> None:
    assert tried(f"try: {what}\nexcept OSError as error: sys.exit(error.strerror)") == (1, "Too many open files")


def test_no_limit_is_raised_again() -> None:
    what = "import resource\ntry: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 0))\nexcept ValueError: sys.exit(7)"
    assert tried(what) == (7, "")


def test_time_ends_at_the_limit_by_the_signal_that_says_so() -> None:
    """Not by SIGKILL, which Linux sends where no time is left between the limit and its own limit."""
    what = "from tidemill_media.imaging import limits\nlimits.CPU_SECONDS = 1\nlimits.confine()\nwhile True: pass"
    ran = subprocess.run([sys.executable, "-c", what], check=False, timeout=30)
    assert ran.returncode == -signal.SIGXCPU


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone limits bytes of data")
def test_memory_ends_at_the_limit() -> None:
    assert tried("bytearray(300 << 20)") == (0, "")
    assert tried("bytearray(450 << 20)") == (1, "MemoryError")
