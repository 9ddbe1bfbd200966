"""The example of the package's README runs as it is printed."""

import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import tidemill_event_source
from tidemill_local.emulator import Emulator

README = Path(tidemill_event_source.__file__).with_name("README.md")

Becomes = Callable[[Callable[[], bool]], bool]


def test_the_example_delivers_a_stream_to_a_handler_of_ones_own(emulator: Emulator, tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example
    name = f"orders-{uuid.uuid4().hex[:8]}"
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    kinesis.put_record(StreamName=name, PartitionKey="order-1", Data=b"hello")
    (tmp_path / "example.py").write_text(example[1].replace('"orders"', f'"{name}"').replace("window=5", "window=0"))
    process = subprocess.Popen(
        [sys.executable, "-u", "example.py"],
        cwd=tmp_path,
        env=dict(emulator.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        said = ""
        while "order-1 aGVsbG8=" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        rest, _ = process.communicate("\n", timeout=30)
    kinesis.delete_stream(StreamName=name)
    assert "Counts(invocations=1, errors=0" in rest
