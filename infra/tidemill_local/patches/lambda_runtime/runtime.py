"""Lambda's runtime for Python functions, in place of the emulator's own.

Room: local platform, I/O; part of the launcher. environment.py has an execution environment, worker.py its place in
the emulator's pools. Here they replace the emulator's private functions, with logs and with Invoke's refusals. The
emulator's modules are arguments, because it must not be imported before its environment variables are set.

A cold start is the field `Init Duration` in the REPORT line of the function's log, as on AWS.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
import secrets
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec

from tidemill_local.patches.lambda_runtime.environment import Environment
from tidemill_local.patches.lambda_runtime.invocations import Invocation
from tidemill_local.patches.lambda_runtime.worker import Config, LoggedAnswer, Worker
from tidemill_local.patches.release import require
from tidemill_local.sweeper import Groups

Module: TypeAlias = Any
"""A module of the emulator, which ships no types."""

Execute: TypeAlias = Callable[[dict[str, Any], Any, str], dict[str, Any]]
Response: TypeAlias = tuple[int, dict[str, str], bytes]
Handle: TypeAlias = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]

REQUEST_LIMIT = 6 * 1024 * 1024
"""Most bytes of a synchronous Invoke.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

EVENT_LIMIT = 1024 * 1024
"""Most bytes of an asynchronous Invoke."""

_LINEAGE = re.compile(r"Lineage=[^;]*:(\d+)")


def install() -> None:
    """Have Python functions run as on AWS; the emulator's workers end at an exception, and omit its type.

    Needs of the emulator:
        lambda_runtime._worker_class_for: what its pools of workers are made of, for a function.
        lambda_runtime.acquire_worker, lambda_runtime.release_worker: take a worker from a pool, and give it back.
        lambda_runtime.get_or_create_worker: the worker that WebSockets' messages are given to.
        lambda_runtime.execution_credentials: the credentials of a function's role.
        lambda_svc._execute_function_warm: runs an invocation in a worker; replaced for functions in Python.
        lambda_svc._execute_function_with_config_scope: runs an invocation in the function's account and region.
        lambda_svc._emit_lambda_logs: writes an invocation's log.
        lambda_svc._inbound_invoke_depth, lambda_svc._invoke_depth: how many functions a call came through.
        lambda_svc._xray_trace_id_for_invocation: the trace that an invocation belongs to.
        lambda_svc._resolve_layer_zip, lambda_svc._provided_runtime_code_dir: a layer's archive, and a code's folder.
        lambda_svc.handle_request, lambda_svc._invoke: handle Lambda's calls, and Invoke, whose payload is checked.
        lambda_svc._functions, lambda_svc._resolve_request_scoped_name_and_qualifier: the function that is invoked.
        lambda_svc._ensure_reaper_thread: has workers that are idle for long ended.
        cloudwatch_logs._put_log_events, cloudwatch_logs._create_log_group, cloudwatch_logs._create_log_stream: keep the
            log.
        cloudwatch_logs._log_groups: tells whether the log's group is there.
    """
    from ministack.core import lambda_runtime
    from ministack.services import cloudwatch_logs, lambda_svc

    require(lambda_runtime, "_worker_class_for", "acquire_worker", "release_worker", "get_or_create_worker")
    require(lambda_runtime, "execution_credentials")
    require(lambda_svc, "_execute_function_warm", "_execute_function_with_config_scope", "_emit_lambda_logs")
    require(lambda_svc, "_inbound_invoke_depth", "_invoke_depth", "_xray_trace_id_for_invocation", "_resolve_layer_zip")
    require(lambda_svc, "handle_request", "_invoke", "_functions", "_resolve_request_scoped_name_and_qualifier")
    require(lambda_svc, "_provided_runtime_code_dir", "_ensure_reaper_thread")
    require(cloudwatch_logs, "_put_log_events", "_create_log_group", "_create_log_stream", "_log_groups")
    ours = FunctionRuntime(lambda_runtime, lambda_svc, cloudwatch_logs)
    lambda_runtime._worker_class_for = ours.worker_class_for(lambda_runtime._worker_class_for)
    lambda_runtime.get_or_create_worker = ours.get_or_create_worker(lambda_runtime.get_or_create_worker)
    lambda_svc._execute_function_warm = ours.execute(lambda_svc._execute_function_warm)
    lambda_svc._emit_lambda_logs = ours.emit_logs(lambda_svc._emit_lambda_logs)
    lambda_svc._inbound_invoke_depth = ours.inbound_depth(lambda_svc._inbound_invoke_depth)
    lambda_svc.handle_request = ours.handle_request(lambda_svc.handle_request)


def is_ours(config: Config) -> bool:
    """Whether the function runs here. Features bound to the emulator's own workers stay with the emulator."""
    snapshot = (config.get("SnapStart") or {}).get("OptimizationStatus") == "On"
    return str(config.get("Runtime")).startswith("python") and not snapshot and not config.get("DurableConfig")


class FunctionRuntime:
    """The replacements of the emulator's functions: each method takes the original and returns its replacement.

    Args:
        core: ministack.core.lambda_runtime.
        service: ministack.services.lambda_svc.
        logs: ministack.services.cloudwatch_logs.
    """

    def __init__(self, core: Module, service: Module, logs: Module) -> None:
        self._core = core
        self._service = service
        self._logs = logs
        self._creating = threading.Lock()  # two threads that find no log group would each create it

    def worker_class_for(self, original: Callable[[Config], Any]) -> Callable[[Config], Any]:
        """Gives the class of the workers in the emulator's pools."""
        return lambda config: functools.partial(Worker, self._environment) if is_ours(config) else original(config)

    def execute(self, original: Execute) -> Execute:
        """Runs an invocation from any source: a request, a notification, a route, a mapping."""

        def execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
            config = function.get("config") or function
            code = function.get("code_zip")
            raw = isinstance(event, bytes)
            if not code or not is_ours(config):
                return original(function, json.loads(event) if raw else event, request_id)
            payload = event if raw else json.dumps(event).encode()
            logged = self._run(
                config, code, Invocation(request_id, payload, config["FunctionArn"], self._trace(config))
            )
            body = logged.answer.payload if raw else _parsed(logged.answer.payload)
            answer = {"body": body, "log": logged.text, "log_source": logged}
            return answer | {"error": True, "function_error": "Unhandled"} if logged.answer.is_error else answer

        return execute

    def emit_logs(self, original: Callable[..., None]) -> Callable[..., None]:
        """Writes an invocation's log; a function that runs here has a log stream for each environment."""

        def emit(function: dict[str, Any], *rest: Any, log_source: Any = None) -> None:
            if not isinstance(log_source, LoggedAnswer):
                original(function, *rest, log_source=log_source)
                return
            group = log_group(function.get("config") or function)
            events = [{"timestamp": line.time_ms, "message": line.text} for line in log_source.lines]
            put = {"logGroupName": group, "logStreamName": log_source.stream, "logEvents": events}
            with self._creating:
                if group not in self._logs._log_groups:
                    self._logs._create_log_group(put)
                self._logs._create_log_stream(put)  # it may exist already
            self._logs._put_log_events(put)

        return emit

    def get_or_create_worker(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Gives the worker for a WebSocket's messages; they run concurrently, each in an environment of its own."""

        def get(name: str, config: Config, code: bytes, qualifier: str = "$LATEST") -> Any:
            if not is_ours(config):
                return original(name, config, code, qualifier)
            function = self._service._functions.get(name) or {}
            return _Dispatcher(self._service, {**function, "config": config, "code_zip": code})

        return get

    def inbound_depth(self, original: Callable[[Mapping[str, str]], int]) -> Callable[[Mapping[str, str]], int]:
        """The number of functions that a request has come through: SDKs pass the invocation's trace on."""

        def depth(headers: Mapping[str, str]) -> int:
            found = _LINEAGE.search(headers.get("x-amzn-trace-id", ""))
            return int(found[1]) if found else original(headers)

        return depth

    def handle_request(self, original: Handle) -> Handle:
        """Lambda's API: an Invoke that AWS would refuse is refused, and its payload is passed on as bytes."""

        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
        ) -> Response:
            parts = unquote(path).rstrip("/").split("/")
            if method != "POST" or len(parts) != 5 or (parts[2], parts[4]) != ("functions", "invocations"):
                return await original(method, path, headers, body, query)
            kind = headers.get("x-amz-invocation-type", "RequestResponse")
            if refusal := refused(body, kind):
                return refusal
            name, qualifier = self._service._resolve_request_scoped_name_and_qualifier(parts[3])
            function = self._service._functions.get(name) or {}
            as_bytes = kind == "RequestResponse" and is_ours(function.get("config") or {})
            event = (body or b"{}") if as_bytes else json.loads(body or b"{}")
            response: Response = await self._service._invoke(name, event, headers, qualifier, query)
            return response

        return handle

    def _environment(self, config: Config, code: bytes, stream: str, tmp: Path) -> tuple[Environment, Path]:
        """A new environment, and its own folder; its temporary files are in the same place as its predecessor's."""
        root = Path(self._service._provided_runtime_code_dir(code))
        own = Path(tempfile.mkdtemp(prefix="function-"))
        for layer in config.get("Layers") or ():
            if archive := self._service._resolve_layer_zip(layer):
                zipfile.ZipFile(io.BytesIO(archive)).extractall(own / "opt")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        packages = [own / "opt/python/lib" / version / "site-packages", own / "opt/python"]
        temporary = {"HOME": str(tmp), "TMPDIR": str(tmp)}
        variables = temporary | self._variables(config, stream) | {"LAMBDA_TASK_ROOT": str(root)}
        return Environment(variables, root, packages, Groups(Path(os.environ["TMPDIR"]))), own

    def _run(self, config: Config, code: bytes, invocation: Invocation) -> LoggedAnswer:
        self._service._ensure_reaper_thread()
        name, version = config["FunctionName"], config.get("Version", "$LATEST")
        worker, _ = self._core.acquire_worker(name, config, code, qualifier=version)
        try:
            logged: LoggedAnswer = worker.run(invocation)
        finally:
            self._core.release_worker(worker)
        return logged

    def _trace(self, config: Config) -> str:
        """The X-Ray header, with the depth of functions that invoke functions, by which endless loops are stopped."""
        plain = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
        trace = self._service._xray_trace_id_for_invocation(config) or plain
        return f"{trace};Lineage=1:{secrets.token_hex(4)}:{self._service._invoke_depth.get()}"

    def _variables(self, config: Config, stream: str) -> dict[str, str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
        region = config["FunctionArn"].split(":")[3]
        given = (config.get("Environment") or {}).get("Variables") or {}
        return {
            "PATH": os.environ["PATH"],
            "LANG": os.environ["LANG"],
            "TZ": ":UTC",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
            "AWS_EC2_METADATA_DISABLED": "true",
            # Hosts such as `sync-states.…` do not exist here.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            **given,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            **self._core.execution_credentials(config),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": log_group(config),
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            "_HANDLER": config["Handler"],
        }


class _Dispatcher:
    """Takes the place of a worker that the emulator requests outside its pools."""

    def __init__(self, service: Module, function: dict[str, Any]) -> None:
        self._service = service
        self._function = function

    def invoke(self, event: Any, _request_id: str) -> dict[str, Any]:
        """Run an invocation in the same way as all others."""
        result = self._service._execute_function_with_config_scope(self._function, event)
        if result.get("error"):
            return {"status": "error", "error": json.dumps(result["body"])}
        return {"status": "ok", "result": result["body"]}


def log_group(config: Config) -> str:
    """The function's log group."""
    found: str = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    return found


def refused(payload: bytes, kind: str) -> Response | None:
    """The refusal of an Invoke that AWS does not accept; None if AWS accepts it."""
    size = len(payload)
    if kind == "Event" and size > EVENT_LIMIT:
        limit = f"(limit {EVENT_LIMIT} bytes)"
        message = f"{size} byte payload is too large for the Event invocation type {limit}"
        return _error(413, "RequestEntityTooLargeException", message)
    if size > REQUEST_LIMIT:
        message = f"Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation"
        return _error(413, "RequestEntityTooLargeException", message)
    try:
        msgspec.json.decode(payload or b"{}", type=msgspec.Raw)
    except msgspec.DecodeError as error:
        message = f"Could not parse request body into json: {error}"
        return _error(400, "InvalidRequestContentException", message)
    return None


def _error(status: int, code: str, message: str) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"Type": "User", "Message": message}).encode()


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
