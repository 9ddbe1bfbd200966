"""The program that hosts the emulator: one process per platform, ended by the end of its input.

Room: local platform, I/O. Run by emulator.py as `python -m tidemill_local.launcher` with a clean environment.
Everything that knows the emulator from within stands here, under the exact pin of pyproject.toml.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from tidemill_local.patches import actions, cbor, cors, provisioning, signatures
from tidemill_local.patches.durability import durability
from tidemill_local.patches.kinesis import resharding, shard_listing, shard_state, stream_calls
from tidemill_local.patches.kinesis.shard_iterators import Reads
from tidemill_local.patches.kinesis.shard_limits import SWITCH, limited, limited_reads
from tidemill_local.patches.kinesis.subscriptions import Subscriptions
from tidemill_local.patches.lambda_runtime import mapping_api
from tidemill_local.patches.lambda_runtime.runtime import FunctionRuntime
from tidemill_local.sweeper import Groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

PrincipalKeys: TypeAlias = "Callable[[Any], dict[str, Any]]"

ConditionsMet: TypeAlias = "Callable[[dict[str, dict[str, Any]], Any], bool]"

ServiceContext: TypeAlias = "Callable[[bytes], dict[str, Any]]"

CHECKPOINTS = "checkpoints"
"""The folder of what is kept of mappings, below what keeps the emulator's own."""

IDENTITY = "cognito-identity.amazonaws.com:sub"
"""The condition key, and policy variable, of who signed in through an identity pool."""


class UnknownEmulator(Exception):
    """The emulator is not the release whose internals are known here."""


def main(arguments: list[str]) -> None:
    """Serve on listening sockets until the input ends or SIGTERM comes.

    Args:
        arguments: the sockets' file descriptors with commas between them, their port, and the folder for everything
            that is written.
    """
    descriptors, port, folder = arguments[0].split(","), int(arguments[1]), Path(arguments[2])
    # Ctrl-C in a terminal is the parent's to decide upon; workers inherit the deaf ear.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=_end_with_input, daemon=True).start()
    Groups(folder).register(os.getpgrp())
    state = os.environ.pop(durability.VARIABLE, None)
    os.environ.update(settings(port, folder) | (durability.settings(Path(state)) if state else {}))
    asyncio.run(_serve(descriptors, folder, Path(state) if state else None))


def settings(port: int, folder: Path) -> dict[str, str]:
    """The emulator's environment variables; functions have their own, see runtime.py."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
        "AUTH": "true",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "HOME": str(folder),
        # Another root key beside the emulator's own `test`: what localstack-client signs with by default.
        "AWS_ACCESS_KEY_ID": "accesskey",
        "AWS_SECRET_ACCESS_KEY": "secretkey",
        "AWS_EC2_METADATA_DISABLED": "true",
        "IOT_MTLS_ENABLED": "0",  # its listener would bind every interface
        "SFTP_ENABLED": "0",
        # The emulator tidies up containers by label as it starts: those of somebody else's.
        "DOCKER_HOST": "unix:///nowhere",
    }


async def _serve(descriptors: list[str], folder: Path, state: Path | None) -> None:
    # Imported late: the emulator reads its environment as it is imported.
    import hypercorn.asyncio
    from hypercorn.config import Config
    from ministack.app import app

    improve()
    show_results((state or folder) / CHECKPOINTS)
    if state:
        keep(state)
    speak_cbor()  # around what keeps the state, whose journal is of calls in JSON
    answer_browsers()
    config = Config()
    config.bind = [f"fd://{descriptor}" for descriptor in descriptors]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 3600  # so that an idle client's next call does not meet a closed connection
    config.keep_alive_max_requests = 2**31
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


def improve() -> None:
    """Put right what is wrong within the emulator.

    Raises:
        UnknownEmulator: something that is put right is no longer there.
    """
    from ministack.core import iam_actions, iam_evaluator

    check_signatures()
    from ministack.services import dynamodb, sts  # they take what checks credentials as they are imported

    _improve_streams()
    _check(iam_evaluator, "_principal_keys", "_conditions_met")
    _check(iam_actions, "dynamodb_service_context")
    _check(dynamodb, "_tables")
    _check(sts, "_sessions")
    host_mappings()
    provision()
    run_functions()
    _check(iam_actions, "extract_iam_action", "SERVICE_TO_IAM_NAMESPACE")
    iam_actions.extract_iam_action = actions.naming(
        iam_actions.extract_iam_action, iam_actions.SERVICE_TO_IAM_NAMESPACE
    )
    iam_evaluator._principal_keys = with_identity(iam_evaluator._principal_keys, sts._sessions)
    iam_evaluator._conditions_met = with_variable(iam_evaluator._conditions_met)
    iam_actions.dynamodb_service_context = with_leading_key(iam_actions.dynamodb_service_context, dynamodb._tables)


def check_signatures() -> None:
    """Have root's signatures checked as anybody's, and know the host by its name in HTTP/2."""
    from ministack import app
    from ministack.core import iam_evaluator

    _check(iam_evaluator, "_is_root_key", "pin_signed_request", "resolve_credential")
    _check(app, "pin_signed_request")
    iam_evaluator._is_root_key = signatures.is_trusted(iam_evaluator._is_root_key)
    iam_evaluator.resolve_credential = signatures.with_root_secret(iam_evaluator.resolve_credential)
    app.pin_signed_request = iam_evaluator.pin_signed_request = signatures.pinning(iam_evaluator.pin_signed_request)


def keep(state: Path) -> None:
    """Have what the emulator holds outlive it, in that folder."""
    from ministack import app, services
    from ministack.core import persistence, responses
    from ministack.services import cloudformation, dynamodb, kinesis, sns, sqs

    _check(app, "_load_persisted_state", "_build_persistence_save_dict", "_dispatch_service_request", "_get_module")
    _check(app, "_state_map")
    _check(persistence, "save_state", "load_state", "_state_format_version", "_json_default", "_json_object_hook")
    _check(responses, "get_account_id", "get_region", "request_scope")
    _check(kinesis, "get_state", "_streams", "put_record_internal", "_partition_key_to_hash", "_route_to_shard")
    _check(dynamodb, "get_state", "load_persisted_state", "_emit_stream_event", "_stream_records", "_stream_trimmed")
    _check(dynamodb, "_closed_streams", "new_uuid")
    _check(sqs, "_HANDLERS", "_get_q", "_queues", "_delete_messages_for_esm", "new_uuid")
    _check(sns, "_deliver_to_lambda", "_deliver_to_http", "new_uuid")
    _check(cloudformation, "_stacks")
    try:
        durability.hook(state, app, persistence, responses, services)
    except OSError as error:
        durability.end_with(error)


def speak_cbor() -> None:
    """Have Kinesis take and answer CBOR, as Java's SDKs speak it."""
    from ministack import app

    _check(app, "_dispatch_service_request")
    app._dispatch_service_request = cbor.speaking(app._dispatch_service_request)


def answer_browsers() -> None:
    """Have pages in browsers call the emulator, and read what it refuses."""
    from ministack import app

    _check(app, "_handle_options_request", "_dispatch_service_request", "detect_service")
    app._handle_options_request = cors.preflight(app._handle_options_request)
    app._dispatch_service_request = cors.readable(app._dispatch_service_request, app.detect_service)


def show_results(folder: Path) -> None:
    """Have Lambda's API say of each mapping how its last batch went, which who runs it keeps in that folder."""
    from ministack.services import lambda_svc

    _check(lambda_svc, "_esm_response")
    lambda_svc._esm_response = mapping_api.with_result(lambda_svc._esm_response, folder)


def host_mappings() -> None:
    """Have event source mappings of streams kept as AWS keeps them, and run by none but the platform."""
    from ministack.services import dynamodb_streams, kinesis, lambda_svc
    from ministack.services.cloudformation import provisioners

    _check(lambda_svc, "_create_esm", "_update_esm", "_esms", "_poll_kinesis", "_poll_dynamodb_streams")
    _check(kinesis, "_resolve_stream_by_arn", "_consumer_from_arn")
    _check(dynamodb_streams, "_describe_stream")
    _check(provisioners, "_RESOURCE_HANDLERS", "_lambda_esm_attrs", "_lambda_esm_create")

    def exists(arn: str) -> bool:
        if "/consumer/" in arn:
            return kinesis._consumer_from_arn(arn) is not None
        if arn.startswith("arn:aws:kinesis:"):
            return kinesis._resolve_stream_by_arn(arn) is not None
        status: int = dynamodb_streams._describe_stream({"StreamArn": arn})[0]
        return status == 200

    _check(lambda_svc, "_kinesis_stream_name_from_arn_spec")
    lambda_svc._kinesis_stream_name_from_arn_spec = mapping_api.naming(lambda_svc._kinesis_stream_name_from_arn_spec)
    lambda_svc._create_esm = mapping_api.creating(lambda_svc._create_esm, lambda_svc._esms, exists)
    lambda_svc._update_esm = mapping_api.updating(lambda_svc._update_esm, lambda_svc._esms)
    lambda_svc._poll_kinesis = lambda_svc._poll_dynamodb_streams = lambda: False
    stack = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    create = mapping_api.provisioning(lambda_svc._create_esm, provisioners._lambda_esm_attrs)
    stack["create"] = provisioners._lambda_esm_create = create
    stack["update"] = mapping_api.reprovisioning(stack["update"], lambda_svc._esms)


def run_functions() -> None:
    """Have Python functions run as AWS runs them; the emulator's workers end at an exception, and tell no type."""
    from ministack.core import lambda_runtime
    from ministack.services import cloudwatch_logs, lambda_svc

    _check(lambda_runtime, "_worker_class_for", "acquire_worker", "release_worker", "get_or_create_worker")
    _check(lambda_runtime, "execution_credentials")
    _check(lambda_svc, "_execute_function_warm", "_execute_function_with_config_scope", "_emit_lambda_logs")
    _check(lambda_svc, "_inbound_invoke_depth", "_invoke_depth", "_xray_trace_id_for_invocation", "_resolve_layer_zip")
    _check(lambda_svc, "handle_request", "_invoke", "_functions", "_resolve_request_scoped_name_and_qualifier")
    _check(lambda_svc, "_provided_runtime_code_dir", "_ensure_reaper_thread")
    _check(cloudwatch_logs, "_put_log_events", "_create_log_group", "_create_log_stream", "_log_groups")
    ours = FunctionRuntime(lambda_runtime, lambda_svc, cloudwatch_logs)
    lambda_runtime._worker_class_for = ours.worker_class_for(lambda_runtime._worker_class_for)
    lambda_runtime.get_or_create_worker = ours.get_or_create_worker(lambda_runtime.get_or_create_worker)
    lambda_svc._execute_function_warm = ours.execute(lambda_svc._execute_function_warm)
    lambda_svc._emit_lambda_logs = ours.emit_logs(lambda_svc._emit_lambda_logs)
    lambda_svc._inbound_invoke_depth = ours.inbound_depth(lambda_svc._inbound_invoke_depth)
    lambda_svc.handle_request = ours.handle_request(lambda_svc.handle_request)


def _improve_streams() -> None:
    from ministack.services import kinesis
    from ministack.services.cloudformation import provisioners

    _check(kinesis, "_expire_records", "_put_record", "_put_records", "_resolve_stream", "_next_sequence_number")
    _check(kinesis, "_route_to_shard", "_get_shard_iterator", "_get_records", "_shard_out")
    _check(kinesis, "_list_shards", "_describe_stream_summary", "_split_shard", "_merge_shards", "_update_shard_count")
    _check(provisioners, "_RESOURCE_HANDLERS")
    resolve, next_sequence = kinesis._resolve_stream, shard_state.sequence_numbers(time.time)
    kinesis._expire_records = expire_head
    kinesis._next_sequence_number = next_sequence
    kinesis._route_to_shard = shard_state.route
    kinesis._shard_out = shard_listing.with_end(kinesis._shard_out)
    kinesis._list_shards = shard_listing.shard_lister(resolve, expire_head, kinesis._shard_out, time.time)
    summary = shard_listing.with_open_count(kinesis._describe_stream_summary, resolve)
    with_monitoring = stream_calls.with_monitoring
    kinesis._describe_stream_summary = with_monitoring(summary, resolve, "StreamDescriptionSummary")
    kinesis._describe_stream = with_monitoring(kinesis._describe_stream, resolve, "StreamDescription")
    _call_streams(kinesis)
    kinesis._split_shard, kinesis._merge_shards, kinesis._update_shard_count = resharding.reshard_handlers(
        resolve, next_sequence
    )
    stack = provisioners._RESOURCE_HANDLERS["AWS::Kinesis::Stream"]
    stack["update"] = resharding.with_shard_count(stack["update"], resolve, next_sequence)
    subscribe_as_on_aws(kinesis)
    reads = Reads(resolve, expire_head, time.time)
    kinesis._get_shard_iterator = reads.get_shard_iterator
    if os.environ.pop(SWITCH, "on") == "off":
        kinesis._get_records = lambda request: reads.get_records(request)[0]
    else:
        kinesis._get_records = limited_reads(reads.get_records, reads.locate, time.monotonic)
        kinesis._put_record, kinesis._put_records = limited(
            kinesis._put_record, kinesis._put_records, resolve, time.monotonic
        )


def subscribe_as_on_aws(kinesis: Any) -> None:
    """Have a subscription end with its shard."""
    _check(kinesis, "_subscribe_to_shard", "_subscriptions", "_consumer_from_arn", "StreamingResponse")
    kinesis._subscribe_to_shard = Subscriptions(
        kinesis._resolve_stream,
        kinesis._consumer_from_arn,
        expire_head,
        kinesis._subscriptions,
        kinesis.StreamingResponse,
        time.time,
    ).subscribe


def _call_streams(kinesis: Any) -> None:
    """Have Kinesis answer the calls that it lacks, and refuse what no shard takes."""
    _check(kinesis, "handle_request", "_create_stream", "_describe_stream", "_streams", "_consumers")
    _check(kinesis, "_register_consumer", "_deregister_consumer")
    resolve = kinesis._resolve_stream
    calls = stream_calls.StreamCalls(resolve, kinesis._streams, kinesis._consumers)
    kinesis.handle_request = calls.answering(kinesis.handle_request)
    _check(kinesis, "_build_shards")
    kinesis._build_shards = stream_calls.bounded(kinesis._build_shards)
    kinesis._create_stream = stream_calls.with_mode(kinesis._create_stream)
    put_record = stream_calls.with_large(kinesis._put_record, resolve)
    put_records = stream_calls.with_large(kinesis._put_records, resolve)
    kinesis._put_record = stream_calls.checked(put_record, resolve, stream_calls.one_record)
    kinesis._put_records = stream_calls.checked(put_records, resolve, stream_calls.many_records)


def provision() -> None:
    """Have stacks be given what their templates say of encryption, recovery, lifecycle and streams' consumers."""
    from ministack.services import dynamodb, firehose, kinesis, s3
    from ministack.services.cloudformation import provisioners

    _check(firehose, "ingest_from_kinesis_source", "_deliver_records_to_s3", "_streams")
    firehose.ingest_from_kinesis_source = provisioning.leaving(firehose.ingest_from_kinesis_source, firehose._streams)
    firehose._deliver_records_to_s3 = provisioning.leaving_out(firehose._deliver_records_to_s3)
    _check(provisioners, "_RESOURCE_HANDLERS")
    _check(dynamodb, "_pitr_settings")
    _check(s3, "_bucket_lifecycle")
    kinds = provisioners._RESOURCE_HANDLERS
    provisioning.also(kinds["AWS::Kinesis::Stream"], provisioning.encryption(kinesis._streams))
    provisioning.also(kinds["AWS::DynamoDB::Table"], provisioning.recovery(dynamodb._pitr_settings))
    provisioning.also(kinds["AWS::S3::Bucket"], provisioning.lifecycle(s3._bucket_lifecycle))
    kinds["AWS::Kinesis::StreamConsumer"] = provisioning.stream_consumer(
        kinesis._register_consumer, kinesis._deregister_consumer
    )


def expire_head(stream: dict[str, Any]) -> None:
    """Drop the records past their retention, and with the last of them the shards that are closed.

    The emulator rebuilds every list on every call, which costs 86 ms at 200,000 records stored. Records stand
    in order of arrival, so looking at the first is enough.
    """
    cutoff = time.time() - stream["RetentionPeriodHours"] * 3600
    for shard in stream["shards"].values():
        records = shard["records"]
        if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
            shard["records"] = [r for r in records if r["ApproximateArrivalTimestamp"] >= cutoff]
    shard_state.forget_expired(stream, cutoff)


def with_identity(principal_keys: PrincipalKeys, sessions: Mapping[str, dict[str, Any]]) -> PrincipalKeys:
    """The caller's condition keys and, for one who came through Cognito, the identity: it is left out."""

    def keys(credential: Any) -> dict[str, Any]:
        identity = sessions.get(credential.access_key_id, {}).get("_identity_id")
        known = {IDENTITY: identity} if identity else {}
        return principal_keys(credential) | known

    return keys


def with_variable(conditions_met: ConditionsMet) -> ConditionsMet:
    """The evaluation of conditions, with the caller's identity in place of the variable that stands for it.

    The emulator knows no policy variables, which would deny everybody what is granted to each identity.
    """

    def met(conditions: dict[str, dict[str, Any]], context: Any) -> bool:
        identity = context.principal_keys.get(IDENTITY)
        if identity:
            conditions = {
                operator: {key: _insert(identity, value) for key, value in tests.items()}
                for operator, tests in conditions.items()
            }
        return conditions_met(conditions, context)

    return met


def with_leading_key(service_context: ServiceContext, tables: Mapping[str, Any]) -> ServiceContext:
    """A DynamoDB request's condition keys and, where it is about one item, the item's partition key: it is left out."""

    def context(body: bytes) -> dict[str, Any]:
        known = service_context(body)
        try:
            request = json.loads(body)
            schema = tables[request["TableName"]]["KeySchema"]
            item = request.get("Key") or request["Item"]
            (name,) = [one["AttributeName"] for one in schema if one["KeyType"] == "HASH"]
            (value,) = item[name].values()
        except (ValueError, LookupError, TypeError, AttributeError):
            return known  # it will be refused for what it is
        return known | {"dynamodb:LeadingKeys": [value]}

    return context


def _insert(identity: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_insert(identity, item) for item in value]
    return value.replace(f"${{{IDENTITY}}}", identity) if isinstance(value, str) else value


def _check(owner: ModuleType | type, *names: str) -> None:
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise UnknownEmulator(f"{owner.__name__} has no {', '.join(missing)}: install ministack==1.5.33")


def _end_with_input() -> NoReturn:
    """The parent holds the other end of the input and never writes: its end is the parent's end."""
    sys.stdin.buffer.read()
    # Nothing is worth keeping, and the emulator's own way out waits seconds for an invocation in flight.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
