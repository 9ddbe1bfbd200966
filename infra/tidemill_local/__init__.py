"""The local platform: the template's resources on this machine, including those that the emulator lacks."""

from tidemill_event_source import EventSource, MappingConfig, destination, in_process, through_lambda

__all__ = ["EventSource", "MappingConfig", "destination", "in_process", "through_lambda"]
