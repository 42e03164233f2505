"""The command line: the only place with flags, colour and exit codes; one file a command."""

from yunti.cli.app import main

__all__ = ["main"]
