"""The local platform, whole: the emulator, the stack in it, and beside it what the emulator lacks.

Room: local platform, composition root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from tidemill_local import delivery_config, event_source_rules
from tidemill_local.delivery_stream import DeliveryStream
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import DEFAULT_PORT, Emulator
from tidemill_local.event_source import EventSource, invoker
from tidemill_local.template import template_path


class Platform:
    """Starts on entering, stops on leaving.

    Args:
        port: where AWS's API is served on 127.0.0.1; 0 chooses a free port.
        parameters: the template's parameters that shall not have their defaults.
        say: told what is being waited for.
        heard: told each answer of a function, as JSON.
    """

    def __init__(
        self,
        port: int = DEFAULT_PORT,
        parameters: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _: None,
        heard: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self.emulator = Emulator(port)
        self._parameters = parameters or {}
        self._say = say
        self._heard = heard
        self._deployment: Deployment | None = None
        self.event_sources: list[EventSource] = []
        self.delivery_streams: list[DeliveryStream] = []

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        if self._deployment is None:
            raise RuntimeError("the platform has not started")
        return self._deployment.outputs

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all of it. What the emulator held is gone."""
        for source in self.event_sources:
            source.stop()
        for stream in self.delivery_streams:
            stream.stop(flush=False)
        self.event_sources.clear()
        self.delivery_streams.clear()
        self.emulator.stop()

    def _start(self) -> None:
        self._say("starting the emulator")
        self.emulator.start()
        self._say("creating the stack")
        self._deployment = deploy(self.emulator, template_path(), self._parameters)
        for resource in self._deployment.local_resources:
            match resource.type:
                case "AWS::Lambda::EventSourceMapping":
                    self._add_event_source(event_source_rules.parse(resource.properties))
                case "AWS::KinesisFirehose::DeliveryStream":
                    named = {"DeliveryStreamName": resource.physical_id, **resource.properties}
                    self._add_delivery_stream(delivery_config.parse(named))
                case other:
                    raise NotImplementedError(f"{other} has no local counterpart")

    def _add_event_source(self, config: event_source_rules.MappingConfig) -> None:
        client = self.emulator.client
        invoke = invoker(client("lambda"), config.function, self._heard)
        source = EventSource(client("kinesis"), invoke, config)
        source.start()
        self.event_sources.append(source)

    def _add_delivery_stream(self, config: delivery_config.DeliveryConfig) -> None:
        stream = DeliveryStream(self.emulator.client("kinesis"), self.emulator.client("s3"), config)
        stream.start()
        self.delivery_streams.append(stream)
