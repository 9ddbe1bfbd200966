"""`tidemill analytics`: the analytics stage."""

from tidemill_cli.commands.analytics.command import add_arguments, run

__all__ = ["add_arguments", "run"]
