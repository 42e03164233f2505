"""What `yunti generate` does: one text as it is written, or those of many prompts, to the screen or to a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from yunti.cli.options import print_json
from yunti.errors import OptionError

if TYPE_CHECKING:
    from yunti.bundle.bundle import Bundle
    from yunti.models.generation import Written

_ENDINGS: Final = (".jsonl", ".csv", ".txt")
_DIGITS: Final = 3


@final
@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Args:
        bundle: of the model.
        prompt: what the text begins with; "-" for standard input.
        prompts: a file of prompts.
        out: the file to write.
        stream: whether the text is shown while it is written; None for on a terminal.
        as_json: whether numbers are printed.
    """

    bundle: str
    prompt: str = ""
    prompts: str | None = None
    out: str | None = None
    stream: bool | None = None
    as_json: bool = False

    @property
    def streams(self) -> bool:
        """Whether the text is shown while it is written."""
        if self.stream is not None:
            return self.stream
        return self.prompts is None and self.out is None and not self.as_json and sys.stdout.isatty()


def write_texts(asked: Asked, sampling: Mapping[str, Any]) -> None:
    """Continue a prompt or a file of them.

    Raises:
        InputError: an option or the file of prompts cannot be used.
    """
    from yunti.cli.tables import check_output
    from yunti.data.prompts import read_prompts

    _must_agree(asked)
    check_output(asked.out, _ENDINGS)
    given = [_prompt(asked.prompt)] if asked.prompts is None else read_prompts(asked.prompts)
    prompts = [each.encode("utf-8", "replace").decode() for each in given]  # bytes of no character become "?"
    from yunti.bundle.bundle import load_bundle

    bundle = load_bundle(asked.bundle)
    if asked.streams:
        _stream(bundle, prompts[0], sampling)
        return
    found = _written(bundle, prompts, sampling)
    if asked.out is not None:
        from yunti.words import spoken

        _save(found, asked.out)
        sys.stderr.write(spoken("generate.written", texts=len(found), path=asked.out) + "\n")
    if asked.as_json:
        numbers = [_numbers(each) for each in found]
        print_json(numbers[0] if asked.prompts is None else numbers)
    elif asked.out is None and asked.prompts is None:
        sys.stdout.write(("" if bundle.chats else found[0].prompt) + found[0].text + "\n")
    elif asked.out is None:
        sys.stdout.writelines(_line(each) for each in found)


def _must_agree(asked: Asked) -> None:
    if asked.prompt and asked.prompts is not None:
        mend = "leave one of them out"
        raise OptionError("--prompts", "one of --prompt and --prompts must be given", "both were", mend)
    others = {"--prompts": asked.prompts is not None, "--out": asked.out is not None, "--json": asked.as_json}
    other = next((name for name, given in others.items() if given), None)
    if asked.stream and other:
        raise OptionError("--stream", f"it must stand without {other}", "both were given", "leave one of them out")


def _prompt(given: str) -> str:
    """Return the prompt; that of standard input without the line break at its end, which `echo` puts there."""
    if given != "-":
        return given
    try:
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise OptionError("--prompt -", "standard input must be text in UTF-8", str(error), "convert it") from error


def _stream(bundle: Bundle, prompt: str, sampling: Mapping[str, Any]) -> None:
    pieces = bundle.generate(prompt, **sampling)
    sys.stdout.write("" if bundle.chats else prompt)  # an answer is no continuation
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _written(bundle: Bundle, prompts: Sequence[str], sampling: Mapping[str, Any]) -> list[Written]:
    """Write all texts, with a bar and the time left on a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from yunti.cli.console import console_for
    from yunti.models.generation import write_all
    from yunti.models.sampling import Sampling
    from yunti.words import spoken

    how, writer = Sampling(**sampling), bundle.model.writer
    console = console_for(sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    shown = console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task(spoken("generate.writing", texts=len(prompts)), total=1.0)
        return write_all(writer, prompts, how, lambda done: progress.update(task, completed=done))


def _save(found: Sequence[Written], out: str) -> None:
    """Write the file whole or not at all."""
    import pyarrow as pa

    from yunti.cli.tables import write_table
    from yunti.storing import write_atomic

    if Path(out).suffix.lower() != ".txt":
        rows = {"prompt": [each.prompt for each in found], "text": [each.text for each in found]}
        write_table(pa.table(rows), out)
        return
    lines = [(each.prompt + each.text).replace("\r", "\\r").replace("\n", "\\n") + "\n" for each in found]
    try:
        write_atomic(Path(out), "".join(lines))
    except OSError as error:
        reason = error.strerror or str(error)
        raise OptionError(f"-o {out}", "the file must be writable", reason, "write to another place") from error


def _line(written: Written) -> str:
    return json.dumps({"prompt": written.prompt, "text": written.text}, ensure_ascii=False) + "\n"


def _numbers(written: Written) -> dict[str, Any]:
    return {
        name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in asdict(written).items()
    }
