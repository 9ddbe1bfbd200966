"""A function's package, alone: AWS's own client of the Runtime API starts it where nothing else is installed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator

import pytest

from tests.starting import Runtime, Started, runtime_here, started
from tidemill_deploy.packaging import code_here
from tidemill_deploy.packaging.application import BUILT_IN

Becomes = Callable[[Callable[[], bool]], bool]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return runtime_here(tmp_path_factory.mktemp("runtime"))


@pytest.fixture(scope="module")
def stack(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started(code_here(BUILT_IN), runtime, tmp_path_factory.mktemp("platform")) as found:
        yield found


@pytest.mark.slow
def test_the_apply_function_starts_from_its_package_alone_and_applies_a_batch(stack: Started, becomes: Becomes) -> None:
    stack.send("content/1", 3)
    assert becomes(lambda: stack.views("content/1") == 3)


def test_the_direct_function_starts_from_its_package_alone_and_applies_a_request(stack: Started) -> None:
    assert stack.call("content/2") == (200, {"id": "r1", "status": "accepted"})
    assert stack.views("content/2") == 1


def test_a_package_that_lacks_what_its_function_needs_does_not_start(stack: Started, runtime: Runtime) -> None:
    """What is installed here does not come to its help."""
    whole, lacking = zipfile.ZipFile(io.BytesIO(code_here(BUILT_IN)["Direct"])), io.BytesIO()
    with zipfile.ZipFile(lacking, "w") as archive:
        for name in whole.namelist():
            if not name.startswith("msgspec/"):
                archive.writestr(name, whole.read(name))
    functions = stack.emulator.client("lambda")
    functions.create_function(
        FunctionName="lacking",
        Role=stack.role,
        Runtime="provided.al2023",
        Handler="tidemill_consumers.direct.handler",
        Code={"ZipFile": runtime.starting(lacking.getvalue(), stack.emulator.endpoint_url)},
    )
    answer = functions.invoke(FunctionName="lacking", Payload="{}")
    assert "No module named 'msgspec'" in answer["Payload"].read().decode()
