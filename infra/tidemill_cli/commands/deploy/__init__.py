"""The command `tidemill deploy`."""

from tidemill_cli.commands.deploy.command import add_arguments, run

__all__ = ["add_arguments", "run"]
