"""The command line: which commands there are, and how every end of one becomes a sentence and an exit code."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

import yunti
from yunti.cli.board import board
from yunti.cli.chat import chat
from yunti.cli.climb import climb
from yunti.cli.evaluate import evaluate
from yunti.cli.export import export
from yunti.cli.generate import generate
from yunti.cli.look import look
from yunti.cli.predict import predict
from yunti.cli.report import report
from yunti.cli.rungs import rungs
from yunti.cli.train import train
from yunti.errors import YuntiError

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
COMMANDS = (climb, train, look, rungs, predict, evaluate, generate, chat, export, report, board)
BUG, MISUSED, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 1

Version = Annotated[bool, typer.Option("--version", help="Print the version.")]


def start(context: typer.Context, version: Version = False) -> None:
    """Climb a ladder of models on your data, from linear to Transformer, and know what each step costs."""
    if version:
        typer.echo(f"yunti {yunti.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def build() -> typer.Typer:
    """Make the command line out of its commands."""
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=SETTINGS
    )
    app.callback(invoke_without_command=True)(start)
    for command in COMMANDS:
        app.command(context_settings=SETTINGS)(command)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; errors become one sentence on standard error.

    Returns:
        0; 2 for what the user can mend; 130 for Ctrl-C before anything was done; 1 for a defect of yunti itself.
    """
    try:
        code = _enter(arguments)
        sys.stdout.flush()
        return _say("interrupted.", INTERRUPTED) if code == INTERRUPTED else 0
    except KeyboardInterrupt:
        return _say("interrupted.", INTERRUPTED)
    except YuntiError as error:
        return _say(str(error), MISUSED)
    except typer.TyperException as error:
        return _say(_usage(error, arguments), MISUSED)
    except BrokenPipeError:
        return _quieten()
    except Exception as error:
        if os.environ.get("YUNTI_DEBUG"):
            raise
        if isinstance(error, OSError):
            return _say(f"the system refused: {error}; mend that, or set YUNTI_DEBUG=1 to see where it was.", MISUSED)
        if isinstance(error, MemoryError):
            return _say("there is not enough memory; free some, or take a part of the data.", MISUSED)
        kind = type(error).__name__
        return _say(f"a defect of yunti, {kind}: {error}; set YUNTI_DEBUG=1 to see where, and please report it.", BUG)


def main() -> NoReturn:
    """Run the command that the user typed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no "→" shall not end a climb
    sys.exit(run(sys.argv[1:]))


def _enter(arguments: Sequence[str]) -> object:
    group: Any = typer.main.get_command(build())
    command = group.commands.get(next(iter(arguments), ""))
    if command is not None:  # entered directly: the group's own options would load pydantic before a help text
        return command(list(arguments[1:]), prog_name=f"yunti {arguments[0]}", standalone_mode=False)
    return group(list(arguments), prog_name="yunti", standalone_mode=False)


def _say(text: str, code: int) -> int:
    line = f"yunti: {text}"
    if sys.stderr.isatty():  # a terminal would break words
        width = shutil.get_terminal_size().columns
        line = textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
    sys.stderr.write(line + "\n")
    return code


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> str:
    names = [command.__name__ for command in COMMANDS]
    command = [each for each in arguments if each in names][:1]
    message = error.format_message()
    message = message[:1].lower() + message[1:]
    return message if message.endswith("?") else f"{message.rstrip('.')}; see `{' '.join(['yunti', *command])} --help`."


def _quieten() -> int:
    # What is still in the buffer can go nowhere; Python would complain when it flushes it at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED
