"""Builds the wheel, and tries it in empty environments: the SDK with its own dependencies only, and packaging."""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRY = """
import os, sys, tidemill
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
from tidemill import Producer, Request
foreign = {"pandas", "pyarrow", "duckdb", "rich", "yaml", "ministack", "PIL", "matplotlib", "jinja2"} & set(sys.modules)
assert not foreign, foreign
assert "site-packages" in tidemill.__file__, tidemill.__file__
Producer("stream", client="me", check=False).close()
try:
    import pandas
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("the environment is not empty")
from importlib.metadata import files
names = {str(file) for file in files("tidemill")}
assert {
    "tidemill_deploy/template.yaml",
    "tidemill_deploy/packaging/locks/signing.lock",
    "tidemill_analytics/archive/top-content.sql",
    "tidemill_load/cost_model/prices.toml",
    "tidemill_load/report/page.html",
    "tidemill_page/page.html",
    "tidemill/py.typed",
} <= names
print("wheel: the SDK imports with its own dependencies only")
"""
PACKAGING = """
import tidemill_cli.commands.package
from tidemill_deploy.packaging.application import own_files
from tidemill_deploy.packaging.functions import FUNCTIONS
from tidemill_deploy.packaging.wheels import LOCKS, uv
from tidemill_deploy.template import load, python_version, template_path
assert uv() and python_version(load(template_path()))
assert all((LOCKS / f"{one.extra}.lock").exists() for one in FUNCTIONS)
assert "tidemill_consumers/apply.py" in own_files()
print("wheel: it makes packages with the extra deploy only")
"""


def run(*command: str | Path) -> None:
    """Run a command; its failure is this script's."""
    subprocess.run([str(part) for part in command], check=True, cwd=ROOT)  # noqa: S603 - our own commands


with tempfile.TemporaryDirectory() as folder:
    uv = Path(sys.executable).parent / "uv"
    python = Path(folder, "env", "bin", "python")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    build = ("build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable)
    run(uv, *build, "--out-dir", folder, ROOT)
    run(uv, "venv", "--quiet", "--python", sys.executable, Path(folder, "env"))
    wheel = Path(folder, f"tidemill-{version}-py3-none-any.whl")
    run(uv, "pip", "install", "--quiet", "--python", python, wheel)
    run(python, "-I", "-c", TRY)
    run(uv, "pip", "install", "--quiet", "--python", python, f"tidemill[deploy] @ {wheel.as_uri()}")
    run(python, "-I", "-c", PACKAGING)
