"""Runs the event source mappings that Lambda's API lists.

Room: local platform, I/O, public AWS APIs only. When a mapping is created, changed, disabled or deleted, by the
template or by a tool, that takes effect within a second.
Tests: tests/infra/tidemill_local/patches/lambda_runtime/test_mapping_api.py.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_event_source import Counts, EventSource, destination, parse, through_lambda
from tidemill_event_source.decisions.config import EVENT_COUNT
from tidemill_event_source.files import write_whole
from tidemill_local.emulator import Emulator
from tidemill_local.patches.lambda_runtime.mapping_api import OPTIONS, RESULT, is_stream

LOOK_SECONDS = 1.0

PATIENCE = 5.0
"""Seconds to wait for invocations in flight at the end; unfinished batches are delivered again at the next start."""

log = logging.getLogger(__name__)


class EventSources:
    """Runs the mappings that are listed and enabled.

    Args:
        clients: the platform's emulator, for its boto3 clients.
        folder: where each mapping's checkpoints are kept.
        heard: called with each response of a function, as JSON.
    """

    def __init__(self, clients: Emulator, folder: Path, heard: Callable[[bytes], None]) -> None:
        self._clients = clients
        self._folder = folder
        self._heard = heard
        self._running: dict[str, tuple[Mapping[str, Any], EventSource]] = {}
        self._told: dict[str, Counts] = {}
        """For each mapping, the counts that were last published."""
        self._ending: dict[str, EventSource] = {}
        self._stopping = Event()
        self._thread = Thread(target=self._watch, name="event-sources", daemon=True)

    @property
    def sources(self) -> list[EventSource]:
        """The event sources that run."""
        return [source for _, source in list(self._running.values())]

    def start(self) -> None:
        """Run the listed mappings, and from then on follow the list."""
        self._folder.mkdir(exist_ok=True)
        self._follow()
        self._thread.start()

    def stop(self) -> None:
        """Stop all mappings, and wait a little for invocations in flight. A second call does nothing."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        for mapping_id in list(self._running):
            self._end(mapping_id)
        deadline = time.monotonic() + PATIENCE
        for source in self._ending.values():
            source.stop(max(0.0, deadline - time.monotonic()))

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._follow()
            except (ClientError, BotoCoreError) as error:
                log.warning("cannot list the event source mappings, trying again: %s", error)
            except Exception:  # the other mappings must go on
                log.exception("cannot follow the event source mappings, trying again")

    def _follow(self) -> None:
        wanted = {mapping["UUID"]: mapping for mapping in self._listed() if mapping["State"] == "Enabled"}
        for mapping_id, (settings, _) in list(self._running.items()):
            if mapping_id not in wanted or settings != _settings(wanted[mapping_id]):
                self._end(mapping_id)
        self._ending = {mapping_id: source for mapping_id, source in self._ending.items() if not source.stop(0.0)}
        for mapping_id, mapping in wanted.items():
            # A changed mapping waits until its former run has ended: the batches of a shard are serial.
            if mapping_id not in self._running and mapping_id not in self._ending:
                self._begin(mapping)

        for mapping_id, (settings, source) in list(self._running.items()):
            self._tell(mapping_id, settings, source.counts)

    def _tell(self, mapping_id: str, settings: Mapping[str, Any], counts: Counts) -> None:
        """Publish the last batch's result to Lambda's API, and event counts to CloudWatch if the mapping asks."""
        before = self._told.get(mapping_id, Counts())
        if counts == before:
            return
        if counts.last_result != before.last_result:
            write_whole(self._folder / f"{mapping_id}{RESULT}", counts.last_result.encode())
        if (settings.get("MetricsConfig") or {}).get("Metrics") == EVENT_COUNT:
            dimensions = [{"Name": "EventSourceMappingUUID", "Value": mapping_id}]
            data = [
                {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": "Count"}
                for name, value in event_counts(counts, before).items()
            ]
            self._clients.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=data)
        self._told[mapping_id] = counts

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        for page in self._clients.client("lambda").get_paginator("list_event_source_mappings").paginate():
            yield from (one for one in page["EventSourceMappings"] if is_stream(one["EventSourceArn"]))

    def _begin(self, mapping: Mapping[str, Any]) -> None:
        settings, mapping_id = _settings(mapping), mapping["UUID"]
        options = {name: mapping[name] for name in OPTIONS if name in mapping}
        config = parse(
            {"FunctionName": mapping["FunctionArn"], "EventSourceArn": mapping["EventSourceArn"], **options},
            mapping_id=mapping_id,
            role_arn=self._role(mapping["FunctionArn"]),
        )
        source = EventSource(
            self._clients.client("kinesis" if config.service == "kinesis" else "dynamodbstreams"),
            through_lambda(self._clients.invoking_client(), config.function_arn, self._heard),
            config,
            on_failure=destination(config, self._clients) if config.on_failure else None,
            checkpoints=self._folder / f"{mapping_id}.json",
        )
        self._running[mapping_id] = settings, source
        self._told.pop(mapping_id, None)
        source.start()

    def _role(self, function_arn: str) -> str:
        configuration = self._clients.client("lambda").get_function_configuration(FunctionName=function_arn)
        return str(configuration["Role"])

    def _end(self, mapping_id: str) -> None:
        """End a mapping without waiting for its invocations: one that hangs must not hold up the others."""
        self._ending[mapping_id] = self._running.pop(mapping_id)[1]
        self._ending[mapping_id].stop(0.0)


def event_counts(now: Counts, before: Counts) -> dict[str, int]:
    """CloudWatch's metrics of a mapping's events since `before`, as far as they are counted."""
    done, filtered = now.records - before.records, now.filtered - before.filtered
    return {
        "PolledEventCount": done,
        "FilteredOutEventCount": filtered,
        "InvokedEventCount": done - filtered,
        "DroppedEventCount": now.discarded - before.discarded,
    }


def _settings(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a mapping; a change of one of them restarts it."""
    return {name: mapping.get(name) for name in ("FunctionArn", *OPTIONS)}
