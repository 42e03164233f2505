"""`yunti board`: TensorBoard on a run folder."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from yunti.errors import OptionError

RunPath = Annotated[str, typer.Argument(metavar="RUN", help="The run folder of a climb.")]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="The port to listen on; 0 takes a free one.")]


def board(run: RunPath, port: Port = 6006) -> None:
    """Start TensorBoard on the curves of a run."""
    url = start(board_folder(Path(run)), port)
    sys.stdout.write(f"TensorBoard is at {url} until Ctrl-C\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        sys.stdout.write("\n")


def board_folder(run: Path) -> Path:
    """Return the folder of a run's TensorBoard files.

    Raises:
        OptionError: the run folder is not one, or holds no curves yet.
    """
    if not (run / "request.json").is_file():
        got = "it holds no request.json" if run.is_dir() else "there is no such folder"
        raise OptionError(
            str(run), "it must be the run folder of a climb", got, "name the folder that `yunti climb` printed"
        )
    curves = run / "tensorboard"
    if not curves.is_dir():
        raise OptionError(str(run), "it must hold curves", "no rung has begun to train", "go on with --resume first")
    return curves


def start(folder: Path, port: int) -> str:
    """Serve a folder of TensorBoard files on this machine and return the address.

    Raises:
        OptionError: the port cannot be used.
    """
    if not _free(port):  # asked before TensorBoard is imported, which takes a second
        raise OptionError(
            f"--port {port}", "the port must be free", "another program listens there", "take another or 0"
        )
    from tensorboard import program

    server = program.TensorBoard()
    server.configure(argv=["tensorboard", "--logdir", str(folder), "--port", str(port), "--load_fast", "false"])
    try:
        return str(server.launch())
    except program.TensorBoardServerException as error:
        raise OptionError(f"--port {port}", "TensorBoard must start", str(error), "take another port, or 0") from error


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("localhost", port))
        except OSError:
            return False
    return True
