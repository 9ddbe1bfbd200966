"""`tidemill hot-keys`: the keys and lanes that fill a shard."""

from tidemill_cli.commands.hot_keys.command import add_arguments, run

__all__ = ["add_arguments", "run"]
