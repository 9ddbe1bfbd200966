"""The application from its environment, and an invocation's time. The shared steps are held by test_apply.py."""

import json
import re
import subprocess
import sys

import pytest

from tests.tree import ROOT
from tests.values import Context
from tidemill_consumers.composition import application, half_of

VARIABLES = re.findall(r"^ +(TIDEMILL_\w+):", (ROOT / "infra/template.yaml").read_text(), re.MULTILINE)


def test_a_variable_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEMILL_RULES", raising=False)
    application.cache_clear()
    with pytest.raises(KeyError, match="TIDEMILL_RULES"):
        application()


def test_half_of_an_invocations_time_is_for_beginning_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill_consumers.composition.monotonic", lambda: 1000.0)
    assert half_of(Context()).until == 1060.0


BEGUN = """
import json, os, sys
handler = os.environ["_HANDLER"].rpartition(".")
module = __import__(handler[0], fromlist=[handler[2]])
from tidemill_consumers.composition import application
assert application.cache_info().currsize == 1, "it is made while the module is imported"
app = application(is_direct=True) if "direct" in handler[0] else application()
assert application.cache_info().currsize == 1
clients = {"s3": app.quarantine._s3, "emits": app.emits._kinesis, "sns": app.replies._sns}
clients |= {"kinesis": app.streams._kinesis}
made = [name for name, client in clients.items() if getattr(type(client), "__module__", "").startswith("botocore")]
print(json.dumps({"clients": made, "modules": sorted(sys.modules)}))
"""

NOT_NEEDED = {
    "asyncio",
    "cryptography",
    "tidemill.aio",
    "tidemill.delivery",
    "tidemill.lifetime",
    "tidemill.producer",
    "tidemill.replies",
    "tidemill.spool",
    "tidemill_consumers.metering",
    "tidemill_consumers.operations",
    "tidemill_consumers.testing",
}
"""What the beginning of an environment must not import: each takes some of the time for which the first batch waits."""


@pytest.mark.parametrize(
    ("handler", "clients"),
    [("tidemill_consumers.apply.handler", ["sns", "kinesis"]), ("tidemill_consumers.direct.handler", [])],
)
def test_an_environment_begins_with_what_every_invocation_needs_and_no_more(handler: str, clients: list[str]) -> None:
    variables = dict.fromkeys(VARIABLES, "1")
    done = subprocess.run(
        [sys.executable, "-c", BEGUN],
        env={
            **variables,
            "_HANDLER": handler,
            "AWS_DEFAULT_REGION": "us-east-1",
            "TIDEMILL_RULES": "tidemill_consumers.media",
            "TIDEMILL_APPLICATION_SECRET_ARN": "",
            "TIDEMILL_ANALYTICS_PERIODS": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["clients"] == clients
    assert NOT_NEEDED & set(found["modules"]) == set()
    assert ("tidemill_consumers.direct" in found["modules"]) == ("direct" in handler)


def test_a_module_that_is_imported_elsewhere_makes_nothing() -> None:
    program = (
        "import tidemill_consumers.apply, tidemill_consumers.direct, tidemill_consumers.metering.metered\n"
        "from tidemill_consumers.composition import application\n"
        "print(application.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@pytest.mark.parametrize(
    ("periods", "stream", "said"),
    [
        ("1764000000-", "", "there is none: end its last period"),
        ("1764000000-", "arn", ""),
        ("1764000000-1764003600", "", ""),
        ("1764003600-1764000000", "arn", "do not follow one another"),
    ],
)
def test_nothing_is_left_to_a_stage_that_is_not_there(periods: str, stream: str, said: str) -> None:
    variables = dict.fromkeys(VARIABLES, "1") | {"TIDEMILL_RULES": "tidemill_consumers.media"}
    variables |= {"TIDEMILL_APPLICATION_SECRET_ARN": "", "TIDEMILL_ANALYTICS_PERIODS": periods}
    program = (
        "from tidemill_consumers.composition import application as a; print(a().aggregated, len(a().leaving.periods))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**variables, "AWS_DEFAULT_REGION": "us-east-1", "TIDEMILL_AGGREGATED_STREAM_ARN": stream},
        capture_output=True,
        text=True,
        check=False,
    )
    if said:
        assert said in done.stderr
    else:
        assert done.stdout.split() == [*stream.split(), "1"]
