"""The command `tidemill redrive`."""

from tidemill_cli.commands.redrive.command import add_arguments, run

__all__ = ["add_arguments", "run"]
