"""The whole local platform: the emulator, the stack in it, and the resources that the emulator lacks.

Room: local platform, composition root.
Tests: tests/e2e/test_up.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tidemill_deploy.packaging.application import BUILT_IN
from tidemill_deploy.packaging.functions import have_traces, unheard_photos
from tidemill_deploy.packaging.packages import code_here
from tidemill_deploy.template import template_path
from tidemill_event_source import EventSource
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import DEFAULT_PORT, Emulator
from tidemill_local.event_sources import EventSources
from tidemill_local.firehose import config
from tidemill_local.firehose.delivery_stream import DeliveryStream
from tidemill_local.watching import alarm, measuring
from tidemill_local.watching.alarms import Alarms


class Platform:
    """The local platform as a context manager: it starts on entering and stops on leaving.

    Args:
        port: the port of AWS's API on 127.0.0.1; 0 chooses a free one.
        parameters: values of the template's parameters other than the defaults.
        say: called with each step of the start that takes time, and with what the rules lack for photos.
        heard: called with each response of a function, as JSON.
        state: a folder that keeps everything for the next platform on it; without one all is gone with the platform.

    Raises:
        PackagingError: on entering, before anything starts: the functions' code cannot be made; as RulesNotFound, the
            module of rules does not exist, or does not load.
    """

    def __init__(
        self,
        port: int = DEFAULT_PORT,
        parameters: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _: None,
        heard: Callable[[bytes], None] = lambda _: None,
        state: Path | None = None,
    ) -> None:
        self.emulator = Emulator(port, state)
        self._parameters = parameters or {}
        self._say = say
        self._heard = heard
        self._deployment: Deployment | None = None
        self._event_sources: EventSources | None = None
        self.delivery_streams: list[DeliveryStream] = []

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        if self._deployment is None:
            raise RuntimeError("the platform has not started")
        return self._deployment.outputs

    @property
    def event_sources(self) -> list[EventSource]:
        """The event source mappings of streams of requests that run."""
        sources = self._event_sources.sources if self._event_sources else []
        return [one for one in sources if one.config.service == "kinesis"]

    def alarms(self) -> Alarms:
        """The template's alarms, evaluated from now on by what is measured here; its caller calls `look`."""
        if self._deployment is None or self._event_sources is None:
            raise RuntimeError("the platform has not started")
        client, outputs, running = self.emulator.client, self.outputs, self._event_sources
        resources = [one for one in self._deployment.local_resources if one.type == alarm.TYPE]
        alarms = [alarm.read(one.logical_id, one.properties) for one in resources]
        watched = list(dict.fromkeys(one.metric for each in alarms for one in each.statistics.values()))
        sns, archive = client("sns"), outputs["ArchiveDeliveryStreamName"]
        return Alarms(
            alarms,
            [
                measuring.FunctionLogs(client("logs"), outputs["ApplyLogGroupName"], outputs["ApplyFunctionName"]),
                measuring.FunctionCounts(client("cloudwatch"), measuring.counted(watched)),
                *[
                    measuring.Mappings(partial(_sources_of, running, function), function)
                    for function in measuring.named(watched, "IteratorAge")
                ],
                *[measuring.Queue(client("sqs"), name) for name in measuring.named(watched, measuring.LENGTH)],
                measuring.Incoming(self.delivery_streams, outputs["StreamName"]),
                *[measuring.Delivery(one, archive) for one in self.delivery_streams],
            ],
            lambda topic, subject, text: sns.publish(TopicArn=topic, Subject=subject, Message=text),
        )

    def __enter__(self) -> Self:
        code = self._code()  # before anything starts: most errors occur here
        self._say("starting the emulator")
        self.emulator.start()
        try:
            self._start(code)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, Exception):
                self.emulator.check(patience=1)  # if it has ended, that explains the error
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop everything. The emulator's state is gone, unless a folder keeps it."""
        if self._event_sources:
            self._event_sources.stop()
        for stream in self.delivery_streams:
            stream.stop(flush=False)
        self.delivery_streams.clear()
        self.emulator.stop()

    def reload(self) -> None:
        """Deploy the present rules; invocations in flight finish with the former ones.

        Raises:
            PackagingError: the functions' code cannot be made, or the rules cannot be loaded; the former ones stay.
            DeploymentFailed: CloudFormation failed.
        """
        self._deployment = deploy(self.emulator, template_path(), self._parameters, code=self._code())

    def _code(self) -> Mapping[str, bytes]:
        traces = have_traces(self._parameters.get("Traces", "off"))

        def heard(commands: Collection[str]) -> None:
            if problem := unheard_photos(self._parameters.get("Photos"), commands):
                self._say(problem)

        return code_here(self._parameters.get("Rules", BUILT_IN), traces=traces, heard=heard)

    def _start(self, code: Mapping[str, bytes]) -> None:
        self._say("creating the stack")
        self._deployment = deploy(self.emulator, template_path(), self._parameters, code=code)
        checkpoints = self.emulator.kept / "checkpoints"
        self._event_sources = EventSources(self.emulator, checkpoints, self._heard)
        self._event_sources.start()
        if "AggregatedStreamName" in self._deployment.outputs:
            self._say("the analytics stage is not started; tidemill analytics run runs it on this machine")
        for resource in self._deployment.local_resources:
            match resource.type:
                case "AWS::KinesisFirehose::DeliveryStream":
                    named = {"DeliveryStreamName": resource.physical_id, **resource.properties}
                    kept = checkpoints / f"{resource.physical_id}.json"
                    self._add_delivery_stream(config.parse(named), kept)
                    self._declare_delivery_stream(named)
                case alarm.TYPE:
                    pass  # `alarms` evaluates it
                case other:
                    raise NotImplementedError(f"{other} has no local counterpart")

    def _add_delivery_stream(self, config: config.DeliveryConfig, kept: Path) -> None:
        stream = DeliveryStream(self.emulator.client("kinesis"), self.emulator.client("s3"), config, kept)
        stream.start()
        self.delivery_streams.append(stream)

    def _declare_delivery_stream(self, properties: Mapping[str, Any]) -> None:
        """Create the delivery stream in the emulator, so that callers can describe it by name."""
        firehose = self.emulator.client("firehose")
        with suppress(firehose.exceptions.ResourceInUseException):  # kept from an earlier platform on the same folder
            firehose.create_delivery_stream(**config.as_call(properties))


def _sources_of(running: EventSources, function: str) -> list[EventSource]:
    return [one for one in running.sources if one.config.function_arn.endswith(f":{function}")]
