"""The program in a function's process: it polls the Runtime API, calls the handler, and posts the result.

Room: local platform; the only file that runs within a function. It is run by its path, so that no module of this
package is imported or shadows the function's imports. It behaves like awslambdaric, AWS's own client of the Runtime API
for Python, which has wheels for Linux only; tests/infra/tidemill_local/patches/lambda_runtime/test_runtime.py compares
the two.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import decimal
import http.client
import importlib
import importlib.machinery
import logging
import math
import os
import resource
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from email.message import Message
    from types import TracebackType

OF_THE_RUNTIME = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "simplejson", "six", "urllib3"}
"""The packages that AWS's runtime has. https://docs.aws.amazon.com/lambda/latest/dg/python-package.html"""


class RuntimePackages:
    """Finds the runtime's own packages, after all that the function's code has, and no other installed package.

    Args:
        folders: where they are installed.
    """

    def __init__(self, folders: list[str]) -> None:
        self._folders = folders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The top-level package, if the runtime has it; Python finds the modules in it by itself."""
        wanted = path is None and fullname in OF_THE_RUNTIME
        return importlib.machinery.PathFinder.find_spec(fullname, self._folders) if wanted else None


if __name__ == "__main__":
    sys.meta_path.append(RuntimePackages(sys.argv.pop(1).split(os.pathsep)))

import simplejson  # noqa: E402 # a function's process finds it by the line above

Handler: TypeAlias = "Callable[[Any, LambdaContext], Any]"

API = "/2018-06-01/runtime"

PEAK_MEMORY_HEADER = "Tidemill-Peak-Memory-KiB"
"""The header of each call with the process's peak memory so far, for the log."""

_PRE_UNICODE = ("AWS_Lambda_python3.9", "AWS_Lambda_python3.10", "AWS_Lambda_python3.11")


class Fault(Exception):
    """An error that AWS has a name for: its type, its message, and lines in place of a stack trace."""

    def __init__(self, error_type: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.trace = trace or []


class Encoder(simplejson.JSONEncoder):  # type: ignore[misc] # ships no types
    """Encodes Decimal as a number, so that a handler can return values that boto3 read from DynamoDB."""

    def __init__(self) -> None:
        ascii_only = os.environ.get("AWS_EXECUTION_ENV") in _PRE_UNICODE
        super().__init__(use_decimal=False, ensure_ascii=ascii_only, allow_nan=True)

    def default(self, o: Any) -> Any:
        """A value that is not JSON as one that is."""
        if isinstance(o, decimal.Decimal):
            return math.nan if o.is_nan() else simplejson.raw_json.RawJSON(str(o))
        return super().default(o)


class CognitoIdentity:
    """The invoker's Cognito identity: always none here."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class LambdaContext:
    """The handler's second argument. https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    client_context = None
    identity = CognitoIdentity()

    def __init__(self, request_id: str, arn: str, deadline_ms: int) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation times out; 0 when it has."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class Layout(logging.Formatter):
    """AWS's form of a log record, with the current invocation's id."""

    converter = staticmethod(time.gmtime)
    request_id = ""

    def __init__(self) -> None:
        form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        super().__init__(form, "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record as one event of the log: carriage returns keep its lines together."""
        record.aws_request_id = self.request_id
        return super().format(record).replace("\n", "\r")


class Api:
    """The Runtime API, over one connection. If the connection breaks, OSError ends the process."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address)

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[Message, bytes]:
        """The answer's headers and body."""
        self._connection.request(method, API + path, body, {PEAK_MEMORY_HEADER: str(_peak_memory_kib())})
        answer = self._connection.getresponse()
        found = answer.headers, answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise OSError(f"the Runtime API answers {answer.status} to {path}")
        return found


def main() -> None:
    """Serve invocations until killed."""
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    log, layout = logging.StreamHandler(sys.stdout), Layout()
    log.setFormatter(layout)
    logging.getLogger().addHandler(log)
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        api.call("POST", "/init/error", describe(error, ""))
        sys.exit(1)
    while True:
        headers, event = api.call("GET", "/invocation/next")
        layout.request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
        api.call("POST", *answer(handler, event, headers))


def load(name: str) -> Handler:
    """The handler, as `module.function` names it.

    Raises:
        Fault: the handler cannot be loaded.
    """
    module_name, dot, function = name.rpartition(".")
    if not dot:
        message = f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", message)
    if module_name.partition(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise Fault("Runtime.ImportModuleError", message) from None
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        raise Fault("Runtime.UserCodeSyntaxError", message, trace) from None
    try:
        found: Handler = getattr(module, function)
    except AttributeError:
        message = f"Handler '{function}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", message) from None
    return found


def answer(handler: Handler, event: bytes, headers: Message) -> tuple[str, bytes]:
    """The result of an invocation: the path to post it to, and the response or the exception."""
    request_id = headers["Lambda-Runtime-Aws-Request-Id"]
    deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])
    context = LambdaContext(request_id, headers["Lambda-Runtime-Invoked-Function-Arn"], deadline_ms)
    try:
        response = _marshal(handler(_unmarshal(event), context))
    except Exception as error:
        return f"/invocation/{request_id}/error", describe(error, request_id)
    return f"/invocation/{request_id}/response", response


def describe(error: Exception, request_id: str) -> bytes:
    """Log the exception, and return it in the form that the invoker receives."""
    if isinstance(error, Fault):
        error_type, trace = error.error_type, error.trace
    else:
        error_type, trace = type(error).__name__, traceback.format_list(_frames(error.__traceback__))
    text, trace = _message(error), [_encodable(entry) for entry in trace]
    lines = [f"[ERROR] {error_type}{': ' if text else ''}{text}", "Traceback (most recent call last):"]
    for entry in trace:
        lines += [_hard_indent(line) for line in entry.splitlines()]
    sys.stdout.write("\r".join(lines) + "\n")
    found = {"errorMessage": text, "errorType": error_type, "requestId": request_id, "stackTrace": trace}
    return _encoded(found)


def _message(error: Exception) -> str:
    try:
        return _encodable(str(error))
    except Exception as worse:
        return f"<its message cannot be had: {type(worse).__name__}>"


def _encodable(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot encode, as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _peak_memory_kib() -> int:
    try:
        with open("/proc/self/status", encoding="utf-8") as status:  # noqa: PTH123 # pathlib is slow to import
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    except OSError:
        # Without /proc, on macOS, ru_maxrss is in bytes. On Linux it would include the parent's memory.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _frames(trace: TracebackType | None) -> list[Any]:
    """The frames from the function's own code on, without the marks that newer Pythons put under a line."""
    frames = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(trace)]
    own = next((place for place, frame in enumerate(frames) if frame[0] != __file__), 0)
    return frames[own:]


def _hard_indent(line: str) -> str:
    text = line.lstrip(" ")
    return "\N{NO-BREAK SPACE}" * (len(line) - len(text)) + text


def _unmarshal(event: bytes) -> Any:
    try:
        return simplejson.loads(event)
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


def _marshal(response: Any) -> bytes:
    if isinstance(response, bytes):
        return response
    try:
        return _encoded(response)
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def _encoded(value: Any) -> bytes:
    text: str = Encoder().encode(value)
    return text.encode()


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1:]
    main()
