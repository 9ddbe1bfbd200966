"""The stage's package, unpacked and run by `flink run` on a cluster of this machine, as Managed Flink's properties say.

Part of `make test-flink`. It shows the layout: that the program finds its modules, its SQL and the connector's jar.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.analytics_sql.stream.conftest import PROPERTIES, PYTHON, arrived
from tidemill.aws.loopback import is_loopback
from tidemill_deploy.stage.package import CONNECTOR, RUN_OPTIONS, package_stage

pytestmark = pytest.mark.timeout(240)

PORTS = {"rest.port": 18081, "jobmanager.rpc.port": 16123}
MEMORY = {"jobmanager.memory.process.size": "900m", "taskmanager.memory.process.size": "1200m"}
SECONDS = 90


class Cluster:
    """A job manager and a task manager, as processes of their own that end with it, on 127.0.0.1 alone."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._bin = next((PYTHON.parent.parent / "lib").glob("*/site-packages/pyflink")) / "bin"
        self._folder = folder
        conf = folder / "conf"
        shutil.copytree(self._bin.parent / "conf", conf)
        usual = yaml.safe_load((conf / "config.yaml").read_text())
        own = {"env.java.opts.all": usual["env"]["java"]["opts"]["all"], "parallelism.default": 1, **PORTS, **MEMORY}
        own |= dict.fromkeys(("rest.address", "rest.bind-address", "jobmanager.rpc.address"), "127.0.0.1")
        own |= dict.fromkeys(("jobmanager.bind-host", "taskmanager.bind-host", "taskmanager.host"), "127.0.0.1")
        (conf / "config.yaml").write_text(yaml.safe_dump(own))
        self.address = f"http://127.0.0.1:{PORTS['rest.port']}"
        assert is_loopback(self.address)
        for name in ("jobmanager", "taskmanager"):
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen([self._bin / f"{name}.sh", "start-foreground"], env=self._env, stdout=log,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # fmt: skip
            stack.callback(process.wait, 30)
            stack.callback(process.kill)
        self.until(lambda: self.ask("/overview")["slots-available"])

    @property
    def _env(self) -> dict[str, str]:
        own = {"FLINK_CONF_DIR": str(self._folder / "conf"), "FLINK_LOG_DIR": str(self._folder)}
        return os.environ | own | {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._bin / "flink"), "run", "-pyexec", str(PYTHON), "-pyclientexec", str(PYTHON), *arguments]
        return subprocess.run(
            command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=5) as answer:
            return json.load(answer)

    def until(self, holds: Any) -> None:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                if holds():
                    return
            except OSError:
                pass  # it does not listen yet
            time.sleep(0.2)
        pytest.fail(f"not within {SECONDS} seconds: {sorted(one.name for one in self._folder.iterdir())}")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if not shutil.which("java") or not PYTHON.exists():
        pytest.skip("there is no Java, or no environment with PyFlink: make analytics-env")
    if not CONNECTOR.exists():
        pytest.skip("there is no connector: make connector")
    with ExitStack() as stack:
        yield Cluster(tmp_path, stack)


def test_the_package_runs_as_its_properties_say(cluster: Cluster, tmp_path: Path) -> None:
    with zipfile.ZipFile(package_stage(tmp_path / "out").path) as archive:
        archive.extractall(tmp_path / "package")
    requests, totals = tmp_path / "requests", tmp_path / "totals"
    requests.mkdir()
    (requests / "lines").write_text("".join(f"{arrived(at)}\n" for at in range(25)))
    places = {"requests.path": requests.as_uri(), "totals.path": totals.as_uri()}
    group = {"PropertyGroupId": "tidemill.analytics", "PropertyMap": {**PROPERTIES, **places}}
    (tmp_path / "properties.json").write_text(json.dumps([group]))
    python, jar, modules = (str(tmp_path / "package" / RUN_OPTIONS[one]) for one in ("python", "jarfile", "pyFiles"))
    given = ("-d", "-py", python, "-j", jar, "-pyfs", modules, "--properties", str(tmp_path / "properties.json"))
    done = cluster.run(*given)
    assert done.returncode == 0, done.stdout + done.stderr
    cluster.until(lambda: [one["status"] for one in cluster.ask("/jobs")["jobs"]] == ["FINISHED"])
    lines = [line for one in totals.rglob("*") if one.is_file() for line in one.read_text().splitlines()]
    assert sorted(json.loads(line)["data"]["total"] for line in lines) == [10, 20, 25]
