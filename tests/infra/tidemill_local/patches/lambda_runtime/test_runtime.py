"""Functions run as AWS Lambda runs them: what the invoker, the handler and the log get to see.

What AWS's own runtime for Python answers is asked of awslambdaric, run by the emulator as a custom runtime.
"""

import ast
import base64
import io
import json
import os
import re
import signal
import socket
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tidemill_local.deployment import deploy
from tidemill_local.emulator import Emulator

Becomes = Callable[[Callable[[], bool]], bool]
Runs = Callable[[int], bool]

HANDLER = """
import datetime, decimal, json, logging, os, pathlib, subprocess, sys, time

print("loading")
loaded = []
loaded.append(os.getpid())

class Complaint(Exception):
    pass

def handler(event, context):
    return globals()[event.pop("do", "tell")](event, context)

def tell(event, context):
    return {
        "pid": os.getpid(),
        "loaded": loaded,
        "parent": os.getppid(),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": sys.path,
        "event": event,
        "context": {name: str(value) for name, value in vars(context).items() if not name.startswith("_")},
        "left": [context.get_remaining_time_in_millis(), time.sleep(0.01), context.get_remaining_time_in_millis()],
    }

def echo(event, context): return event["value"]
def evaluate(event, context): return eval(event["text"])
def fail(event, context): deeper(event["depth"])
def deeper(depth): return deeper(depth - 1) if depth else {}["nothing"]
def complain(event, context): raise Complaint(event["text"])
def chained(event, context):
    try:
        {}["nothing"]
    except KeyError as error:
        raise Complaint("two\\nlines") from error
def unprintable(event, context): raise Complaint
def call_wrongly(event, context): len()
def end(event, context): exec(event["how"])

def say(event, context):
    logging.getLogger().setLevel("INFO")
    print("printed")
    print('{"errorType": "none"}', file=sys.stderr)
    logging.info("two\\nlines")
    subprocess.run(["echo", "by a child"])
    print("not ended", end="")
    return "answer"

def meet(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < event["count"]:
        time.sleep(0.005)
    return {"pid": os.getpid(), "temporary": os.environ["TMPDIR"]}

def hang(event, context):
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path(event["file"]).write_text(json.dumps([os.getpid(), child.pid]))
    time.sleep(600)

def wait(event, context):
    pathlib.Path(event["file"]).touch()
    while pathlib.Path(event["file"]).exists():
        time.sleep(0.005)
    return loaded[0]

def http(event, context):
    return {"statusCode": 201, "headers": {"x-runtime": os.environ["AWS_EXECUTION_ENV"]}, "body": event["rawPath"]}

def message(event, context):
    return {"statusCode": 200, "body": event.get("body", "") + os.environ["AWS_EXECUTION_ENV"]}

def notified(event, context):
    pathlib.Path(os.environ["FOLDER"], event["Records"][0]["s3"]["object"]["key"]).write_text(context.aws_request_id)
"""

MODULES = {
    "f.py": HANDLER,
    "lacking.py": "import nothing_of_that_name",
    "broken.py": "def (",
    "failing.py": "def load():\n    raise ValueError('no')\nload()",
    "leaving.py": "import sys\nsys.exit(7)",
    "layered.py": "import from_layer\ndef handler(event, context): return from_layer.VALUE",
    "unsteady.py": """
import os, pathlib
first = pathlib.Path(os.environ["FOLDER"], "first")
if not first.exists():
    first.touch()
    raise OSError("not yet")
def handler(event, context): return "loaded"
""",
    "bootstrap": f"#!/bin/sh\nexec {sys.executable} -m awslambdaric $_HANDLER\n",
}


def zipped(modules: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in modules.items():
            archive.writestr(name, text)
    return buffer.getvalue()


CODE = zipped(MODULES)


@dataclass(frozen=True)
class Answer:
    """What an invoker gets."""

    payload: Any
    error: str | None
    log: str


class Functions:
    """Makes functions and invokes them, and does not try again."""

    def __init__(self, emulator: Emulator) -> None:
        keys = emulator.environment
        self.client = boto3.client(
            "lambda",
            endpoint_url=emulator.endpoint_url,
            region_name=keys["AWS_DEFAULT_REGION"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        iam = emulator.client("iam")
        self._role = iam.create_role(RoleName="runtime", AssumeRolePolicyDocument="{}")["Role"]["Arn"]

    def add(self, name: str, handler: str = "f.handler", **settings: Any) -> str:
        """The name, once there is such a function."""
        arguments = {"Runtime": "python3.12", "Timeout": 30, "Code": {"ZipFile": CODE}, **settings}
        self.client.create_function(FunctionName=name, Role=self._role, Handler=handler, **arguments)
        return name

    def invoke(self, name: str, **event: Any) -> Answer:
        return self.send(name, json.dumps(event).encode())

    def send(self, name: str, payload: bytes) -> Answer:
        answer = self.client.invoke(FunctionName=name, Payload=payload, LogType="Tail")
        log = base64.b64decode(answer.get("LogResult", "")).decode()
        return Answer(json.load(answer["Payload"]), answer.get("FunctionError"), log)


@pytest.fixture(scope="module")
def functions(emulator: Emulator) -> Iterator[Functions]:
    made = Functions(emulator)
    yield made
    made.client.close()


@pytest.fixture(scope="module")
def function(functions: Functions) -> str:
    """One that all may use that need no environment of their own."""
    return functions.add("runtime", MemorySize=256, Environment={"Variables": {"MINE": "yes"}})


def logged(emulator: Emulator, function: str, text: str) -> list[str]:
    """The events of the function's log that have the text in them."""
    logs = emulator.client("logs")
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}", filterPattern=f'"{text}"')
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in found["events"]]


def test_an_environment_is_a_process_that_loads_its_code_once(
    emulator: Emulator, functions: Functions, tmp_path: Path
) -> None:
    name = functions.add("runtime-warm")
    first, second = functions.invoke(name), functions.invoke(name)
    assert first.payload["pid"] == second.payload["pid"] != first.payload["parent"]
    assert second.payload["loaded"] == [first.payload["pid"]]
    assert first.log.startswith("loading\nSTART ")
    assert "loading" not in second.log
    assert len(logged(emulator, name, "Init Duration")) == 1


def test_invocations_at_a_time_have_an_environment_each(
    emulator: Emulator, functions: Functions, tmp_path: Path
) -> None:
    name = functions.add("runtime-concurrent")
    with ThreadPoolExecutor(3) as threads:
        met = list(threads.map(lambda _: functions.invoke(name, do="meet", folder=str(tmp_path), count=3), range(3)))
    assert len({answer.payload["pid"] for answer in met}) == 3
    assert len({answer.payload["temporary"] for answer in met}) == 3
    assert len(logged(emulator, name, "Init Duration")) == 3


def test_the_handlers_second_argument_is_awss(functions: Functions, function: str) -> None:
    told = functions.invoke(function).payload
    context, (left, _, later) = told["context"], told["left"]
    arn = functions.client.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    assert context == {
        "aws_request_id": context["aws_request_id"],
        "function_name": function,
        "function_version": "$LATEST",
        "invoked_function_arn": arn,
        "memory_limit_in_mb": "256",
        "log_group_name": f"/aws/lambda/{function}",
        "log_stream_name": context["log_stream_name"],
    }
    assert re.fullmatch(r"[0-9a-f-]{36}", context["aws_request_id"])
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST][0-9a-f]{32}", context["log_stream_name"])
    assert 30_000 >= left > later > 0


def test_the_environment_has_awss_variables_and_the_functions_own(
    emulator: Emulator, functions: Functions, function: str
) -> None:
    told = functions.invoke(function).payload
    variables = told["environment"]
    assert {name: variables[name] for name in variables if name.startswith("AWS_LAMBDA_") or name[0] in "_LM"} == {
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function}",
        "AWS_LAMBDA_LOG_STREAM_NAME": told["context"]["log_stream_name"],
        "AWS_LAMBDA_RUNTIME_API": variables["AWS_LAMBDA_RUNTIME_API"],
        "LAMBDA_TASK_ROOT": told["folder"],
        "LANG": "C.UTF-8",
        "MINE": "yes",
        "_HANDLER": "f.handler",
        "_X_AMZN_TRACE_ID": variables["_X_AMZN_TRACE_ID"],
    }
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-east-1"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.12"
    assert variables["AWS_ENDPOINT_URL"] == emulator.endpoint_url
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert told["path"][0] == told["folder"]


EVENTS: list[dict[str, Any]] = [
    {"do": "echo", "value": {"text": "naïve ☃ \U0001f600", "numbers": [1, 1.5, 10**30, -0.0], "none": None}},
    {"do": "echo", "value": "text"},
    {"do": "echo", "value": None},
    {"do": "evaluate", "text": "{'n': decimal.Decimal(10**30 + 1), 'b': b'x', 1: (1, 2)}"},
    {"do": "evaluate", "text": "{1, 2}"},
    {"do": "evaluate", "text": "{'when': datetime.datetime.now()}"},
    {"do": "evaluate", "text": "{(1, 2): 3}"},
    {"do": "evaluate", "text": "context"},
    {"do": "evaluate", "text": "1 +"},
    {"do": "fail", "depth": 0},
    {"do": "fail", "depth": 3},
    {"do": "fail", "depth": 100},
    {"do": "complain", "text": "plainly"},
    {"do": "complain", "text": "two\nlines"},
    {"do": "chained"},
    {"do": "unprintable"},
    {"do": "call_wrongly"},
    {"do": "no such thing"},
]


@pytest.fixture(scope="module")
def pair(functions: Functions) -> tuple[str, str]:
    """The same code run by ours and by AWS's own."""
    if sys.platform != "linux":
        pytest.skip("awslambdaric has wheels for Linux only")
    return functions.add("runtime-ours"), theirs(functions, "runtime-theirs", "f.handler")


def theirs(functions: Functions, name: str, handler: str) -> str:
    variables = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.12"}
    return functions.add(name, handler, Runtime="provided.al2023", Environment={"Variables": variables})


def said(answer: Answer) -> list[str]:
    """The log without Lambda's own lines, ids and addresses."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+", "…", answer.log.replace("\r", "\n"))
    platform = ("START ", "END ", "REPORT ", "INIT_REPORT ", "loading")
    return [line for line in text.splitlines() if not line.startswith(platform)]


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_what_comes_of_an_event_is_what_awss_runtime_makes_of_it(
    functions: Functions, pair: tuple[str, str], event: dict[str, Any]
) -> None:
    ours, theirs = (functions.invoke(name, **event) for name in pair)
    if ours.error:
        assert re.fullmatch(r"[0-9a-f-]{36}", ours.payload.pop("requestId"))
        assert ours.payload.keys() == {"errorMessage", "errorType", "stackTrace"}
        theirs.payload.pop("requestId")
    assert (ours.payload, ours.error) == (theirs.payload, theirs.error)
    assert said(ours) == said(theirs)


def test_an_answer_that_is_not_json_is_the_handlers_error(functions: Functions, function: str) -> None:
    answer = functions.invoke(function, do="evaluate", text="{1}")
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Runtime.MarshalError")


def test_text_is_answered_in_utf_8_and_not_in_escapes(functions: Functions, function: str) -> None:
    payload = json.dumps({"do": "echo", "value": "☃"}).encode()
    assert functions.client.invoke(FunctionName=function, Payload=payload)["Payload"].read() == '"☃"'.encode()


def test_an_environment_survives_an_exception(emulator: Emulator, functions: Functions, function: str) -> None:
    before = functions.invoke(function).payload["pid"]
    answer = functions.invoke(function, do="complain", text="for once")
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Complaint")
    assert functions.invoke(function).payload["pid"] == before
    (event,) = logged(emulator, function, "for once")
    assert event.splitlines()[:2] == ["[ERROR] Complaint: for once", "Traceback (most recent call last):"]
    assert len(event.splitlines()) == 2 + 2 * len(answer.payload["stackTrace"])


NOT_LOADED = {
    "lacking.handler": "Runtime.ImportModuleError",
    "nowhere.handler": "Runtime.ImportModuleError",
    "f.nothing": "Runtime.HandlerNotFound",
    "broken.handler": "Runtime.UserCodeSyntaxError",
    "failing.handler": "ValueError",
    "sys.exit": "Runtime.BuiltInModuleConflict",
    "handler": "Runtime.MalformedHandlerName",
}


@pytest.mark.parametrize("handler", NOT_LOADED)
def test_a_handler_that_cannot_be_loaded_is_named_as_aws_names_it(functions: Functions, handler: str) -> None:
    name = functions.add(f"runtime-{handler.replace('.', '-')}", handler)
    answer = functions.invoke(name)
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", NOT_LOADED[handler])
    assert answer.log.count("INIT_REPORT") == 2
    if sys.platform == "linux":
        # The emulator hands a custom runtime's error on as Python writes it.
        told = functions.invoke(theirs(functions, f"{name}-theirs", handler)).payload["errorMessage"]
        assert answer.payload == ast.literal_eval(told.removeprefix("init error: "))


def test_loading_that_fails_is_tried_a_second_time(emulator: Emulator, functions: Functions, tmp_path: Path) -> None:
    name = functions.add("runtime-unsteady", "unsteady.handler", Environment={"Variables": {"FOLDER": str(tmp_path)}})
    assert functions.invoke(name).payload == "loaded"
    assert [re.sub(r"[\d.]+ ms", "… ms", line) for line in logged(emulator, name, "INIT_REPORT")] == [
        "INIT_REPORT Init Duration: … ms\tPhase: init\tStatus: error\tError Type: OSError"
    ]


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("sys.exit()", "Runtime exited without providing a reason"),
        ("os._exit(4)", "Runtime exited with error: exit status 4"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        # A child that keeps the connection open must not hide that its parent is gone.
        ("os.fork() and os._exit(5) or time.sleep(600)", "Runtime exited with error: exit status 5"),
    ],
)
def test_a_process_that_ends_fails_its_invocation_only(functions: Functions, function: str, how: str, why: str) -> None:
    before = functions.invoke(function).payload["pid"]
    answer = functions.invoke(function, do="end", how=how)
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert re.fullmatch(rf"RequestId: [0-9a-f-]{{36}} Error: {why}", answer.payload["errorMessage"])
    assert answer.log.rstrip().endswith("Status: error\tError Type: Runtime.ExitError")
    after = functions.invoke(function).payload
    assert after["loaded"] == [after["pid"]] != [before]


JUNK = """
import gc, http.client
for thing in gc.get_objects():
    if isinstance(thing, http.client.HTTPConnection) and thing.sock:
        thing.sock.sendall({junk!r})
time.sleep(600)
"""


@pytest.mark.parametrize(
    "junk", [b"junk\r\n\r\n", b"GET /x HTTP/1.1\r\nHost: x\r\nTidemill-Peak-Memory-KiB: x\r\n\r\n"]
)
def test_a_handler_that_writes_into_the_runtimes_connection_ends_its_process(
    functions: Functions, function: str, runs: Runs, junk: bytes
) -> None:
    before = functions.invoke(function).payload["pid"]
    answer = functions.invoke(function, do="end", how=JUNK.format(junk=junk))
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert not runs(before)
    assert functions.invoke(function).payload["pid"] != before


WORDLESS = """
class Wordless(Exception):
    def __str__(self):
        return {}["nothing"]
raise Wordless
"""


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (WORDLESS, "<its message cannot be had: KeyError>"),
        ("raise ValueError('half of one: \\ud83d')", "half of one: \\ud83d"),
    ],
)
def test_an_exception_whose_message_is_none_does_not_end_the_process(
    functions: Functions, function: str, how: str, message: str
) -> None:
    before = functions.invoke(function).payload["pid"]
    answer = functions.invoke(function, do="end", how=how)
    assert (answer.error, answer.payload["errorMessage"]) == ("Unhandled", message)
    assert message in answer.log
    assert functions.invoke(function).payload["pid"] == before


def test_a_process_that_ends_while_loading_says_so(functions: Functions) -> None:
    answer = functions.invoke(functions.add("runtime-leaving", "leaving.handler"))
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")


def test_a_process_that_ends_while_idle_is_replaced(
    functions: Functions, function: str, becomes: Becomes, runs: Runs
) -> None:
    idle = functions.invoke(function).payload["pid"]
    os.kill(idle, signal.SIGKILL)
    assert becomes(lambda: not runs(idle))
    assert functions.invoke(function).error is None


def test_an_invocation_that_takes_too_long_is_killed_with_its_children(
    functions: Functions, tmp_path: Path, becomes: Becomes, runs: Runs
) -> None:
    name = functions.add("runtime-slow", Timeout=1)
    answer = functions.invoke(name, do="hang", file=str(tmp_path / "pids"))
    pids = json.loads((tmp_path / "pids").read_text())
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "Sandbox.Timedout"
    assert re.fullmatch(
        r"RequestId: [0-9a-f-]{36} Error: Task timed out after 1\.00 seconds", answer.payload["errorMessage"]
    )
    assert "Task timed out after 1.00 seconds\nEND " in answer.log
    assert answer.log.rstrip().endswith("Status: timeout")
    assert becomes(lambda: not any(runs(pid) for pid in pids))
    assert functions.invoke(name).payload["pid"] not in pids


MIB = 1024 * 1024


def test_a_request_of_six_megabytes_is_taken_and_one_byte_more_is_not(functions: Functions, function: str) -> None:
    wrapped = '{"do": "evaluate", "text": "len(event[\'x\'])", "x": "%s"}'
    fill = 6 * MIB - len(wrapped % "")
    assert functions.send(function, (wrapped % ("x" * fill)).encode()).payload == fill
    with pytest.raises(ClientError, match="must be smaller than 6291456 bytes for the InvokeFunction") as caught:
        functions.send(function, (wrapped % ("x" * (fill + 1))).encode())
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_an_event_of_one_megabyte_is_taken_and_one_byte_more_is_not(functions: Functions, function: str) -> None:
    payload = json.dumps({"x": "x" * (MIB - 9)}).encode()
    invoke = functions.client.invoke
    assert invoke(FunctionName=function, InvocationType="Event", Payload=payload)["StatusCode"] == 202
    with pytest.raises(ClientError, match=r"1048577 byte payload is too large for the Event invocation type"):
        invoke(FunctionName=function, InvocationType="Event", Payload=payload + b" ")


def test_a_response_of_six_megabytes_is_given_and_more_is_not(functions: Functions, function: str) -> None:
    most = 6 * MIB + 100 - 2
    assert functions.invoke(function, do="evaluate", text=f"'x' * {most}").payload == "x" * most
    answer = functions.invoke(function, do="evaluate", text=f"'x' * {most + 1}")
    assert answer.error == "Unhandled"
    assert answer.payload == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }


@pytest.mark.parametrize("payload", [b"text", b'{"a": }', b"{} {}", b"NaN"])
def test_what_is_not_json_is_refused(functions: Functions, function: str, payload: bytes) -> None:
    with pytest.raises(functions.client.exceptions.InvalidRequestContentException, match="Could not parse"):
        functions.send(function, payload)


def test_no_payload_is_an_empty_one(functions: Functions, function: str) -> None:
    answer = functions.client.invoke(FunctionName=function)
    assert json.load(answer["Payload"])["event"] == {}


def test_what_a_function_says_is_in_its_log_and_not_in_its_answer(
    emulator: Emulator, functions: Functions, function: str
) -> None:
    stream = functions.invoke(function).payload["context"]["log_stream_name"]
    answer = functions.invoke(function, do="say")
    assert answer.payload == "answer"
    request_id = answer.log.split()[2]
    assert re.sub(r"\d\d\d\d-\d\d-\S+Z|\d+(\.\d+)? M?m?[sB]+", "…", answer.log).split("\n") == [
        f"START RequestId: {request_id} Version: $LATEST",
        "printed",
        '{"errorType": "none"}',
        f"[INFO]\t…\t{request_id}\ttwo",
        "lines",
        "by a child",
        "not ended",
        f"END RequestId: {request_id}",
        f"REPORT RequestId: {request_id}\tDuration: …\tBilled Duration: …\tMemory Size: …\tMax Memory Used: …",
        "",
    ]
    logs = emulator.client("logs")
    events = logs.get_log_events(logGroupName=f"/aws/lambda/{function}", logStreamName=stream)["events"]
    assert "\n".join(event["message"] for event in events[-8:]) + "\n" == answer.log


def test_a_long_log_does_not_stop_the_function(functions: Functions, function: str) -> None:
    answer = functions.invoke(function, do="evaluate", text="print('x' * 1_000_000)")
    assert (answer.payload, answer.error) == (None, None)
    assert len(answer.log) == 4096


def test_reserved_concurrency_is_the_templates_and_is_kept_to(
    emulator: Emulator, functions: Functions, tmp_path: Path, becomes: Becomes
) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("""
Transform: AWS::Serverless-2016-10-31
Parameters: {CodeBucket: {Type: String}, CodeKey: {Type: String}, Most: {Type: Number, Default: 1}}
Resources:
  Other:
    Type: AWS::SQS::Queue
  Waiting:
    Type: AWS::Serverless::Function
    Properties:
      Handler: f.handler
      Runtime: python3.12
      CodeUri: {Bucket: !Ref CodeBucket, Key: !Ref CodeKey}
      ReservedConcurrentExecutions: !Ref Most
Outputs:
  Name: {Value: !Ref Waiting}
""")
    deployed = deploy(emulator, template, {}, code=CODE, stack="reserved")
    assert deployed.outputs.keys() == {"Name"}
    name, file = deployed.outputs["Name"], tmp_path / "waits"
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(functions.invoke, name, do="wait", file=str(file))
        assert becomes(file.exists)
        with pytest.raises(functions.client.exceptions.TooManyRequestsException) as caught:
            functions.invoke(name)
        file.unlink()
        assert first.result().error is None
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert functions.invoke(name).error is None


def test_new_code_does_not_disturb_an_invocation_of_the_old(
    functions: Functions, tmp_path: Path, becomes: Becomes, runs: Runs
) -> None:
    name, file = functions.add("runtime-updated"), tmp_path / "waits"
    with ThreadPoolExecutor(1) as threads:
        old = threads.submit(functions.invoke, name, do="wait", file=str(file))
        assert becomes(file.exists)
        functions.client.update_function_code(
            FunctionName=name, ZipFile=zipped({"f.py": "def handler(event, context): return 'new'"})
        )
        assert functions.invoke(name).payload == "new"
        file.unlink()
        pid = old.result().payload
    assert becomes(lambda: not runs(pid))
    assert functions.invoke(name).payload == "new"


def test_a_layers_packages_are_found(functions: Functions) -> None:
    layer = functions.client.publish_layer_version(
        LayerName="runtime-layer", Content={"ZipFile": zipped({"python/from_layer.py": "VALUE = 5"})}
    )
    name = functions.add("runtime-layered", "layered.handler", Layers=[layer["LayerVersionArn"]])
    assert functions.invoke(name).payload == 5


def test_functions_that_invoke_each_other_come_to_an_end(functions: Functions, function: str) -> None:
    """SDKs send the variable with each call; the emulator stops at a depth of sixteen."""
    trace = functions.invoke(function).payload["environment"]["_X_AMZN_TRACE_ID"]
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=1:[0-9a-f]{8}:1", trace)
    deep = trace.removesuffix(":1") + ":16"
    functions.client.meta.events.register_first(
        "before-call", lambda params, **_: params["headers"].update({"X-Amzn-Trace-Id": deep}), "deep"
    )
    try:
        with pytest.raises(functions.client.exceptions.RecursiveInvocationException):
            functions.invoke(function)
    finally:
        functions.client.meta.events.unregister("before-call", unique_id="deep")


def test_an_object_in_a_bucket_notifies_a_function(
    emulator: Emulator, functions: Functions, tmp_path: Path, becomes: Becomes
) -> None:
    name = functions.add("runtime-notified", "f.notified", Environment={"Variables": {"FOLDER": str(tmp_path)}})
    arn = functions.client.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="runtime-notifying")
    s3.put_bucket_notification_configuration(
        Bucket="runtime-notifying",
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    s3.put_object(Bucket="runtime-notifying", Key="key", Body=b"")
    assert becomes((tmp_path / "key").exists)
    assert becomes(lambda: len(logged(emulator, name, "Init Duration")) == 1)


def route(emulator: Emulator, function: str, kind: str, key: str) -> str:
    """The id of a new API whose one route leads to the function."""
    gateway = emulator.client("apigatewayv2")
    arn = emulator.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    selection = {"RouteSelectionExpression": "$request.body.action"} if kind == "WEBSOCKET" else {}
    api: str = gateway.create_api(Name=function, ProtocolType=kind, **selection)["ApiId"]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    made = gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{integration}")
    if kind == "WEBSOCKET":
        gateway.create_route_response(ApiId=api, RouteId=made["RouteId"], RouteResponseKey="$default")
    gateway.create_stage(ApiId=api, StageName="$default" if kind == "HTTP" else "stage", AutoDeploy=True)
    return api


def test_an_http_route_answers_what_its_function_does(emulator: Emulator, functions: Functions) -> None:
    api = route(emulator, functions.add("runtime-http", "f.http"), "HTTP", "GET /hello")
    asked = urllib.request.Request(f"{emulator.endpoint_url}/hello", headers={"Host": f"{api}.execute-api.localhost"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked) as answer:
        assert (answer.status, answer.read()) == (201, b"/hello")
        assert answer.headers["x-runtime"] == "AWS_Lambda_python3.12"


def test_a_message_of_a_websocket_is_answered_what_its_function_does(emulator: Emulator, functions: Functions) -> None:
    name = functions.add("runtime-websocket", "f.message")
    api = route(emulator, name, "WEBSOCKET", "$default")
    port = int(emulator.endpoint_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            f"GET /stage HTTP/1.1\r\nHost: {api}.execute-api.localhost\r\nUpgrade: websocket\r\n".encode()
            + b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        received = connection.makefile("rb")
        assert received.readline().startswith(b"HTTP/1.1 101")
        while received.readline() != b"\r\n":
            pass
        connection.sendall(b"\x81\x85\0\0\0\0hello")  # a whole text of five bytes, under a mask of zeros
        expected = b"helloAWS_Lambda_python3.12"
        assert received.read(2 + len(expected))[2:] == expected
        received.close()
    assert len(logged(emulator, name, "Init Duration")) == 1
