"""The public names and the flags of the command line are one page each; a change of them is a decision."""

from __future__ import annotations

from typing import Any

import pytest
import typer

import yunti
from yunti.cli.app import build

NAMES = [
    "Bundle",
    "BundleError",
    "Climb",
    "ColumnError",
    "Fitted",
    "Forecast",
    "InputError",
    "OptionError",
    "PackageError",
    "RungError",
    "SourceError",
    "YuntiError",
    "__version__",
    "climb",
    "extrapolate",
    "extrapolate_surface",
    "fit",
    "load",
    "look",
    "resume",
    "train",
]
READING = "--target --prompt --task --test --split --group --time --kind --keep --seed"
FLAGS = {
    "climb": f"SOURCE {READING} --budget --rungs --metric --device --pretrained --no-refit --worth --price --out "
    "--resume --lang --json",
    "train": f"SOURCE {READING} --rung --config --set --budget --metric --device --pretrained --refit --out --resume "
    "--lang --json",
    "look": f"SOURCE {READING} --lang --json",
    "rungs": "--task --lang --json",
    "predict": "BUNDLE INPUT -o --out --lang",
    "generate": "BUNDLE --prompt --prompts -o --out --temperature --top-k --top-p --min-p --repetition-penalty "
    "--max-tokens --stop --seed --stream --lang --json",
    "export": "BUNDLE DIR --lang",
    "chat": "BUNDLE --prompt --system --temperature --top-k --top-p --min-p --repetition-penalty --max-tokens --seed "
    "--lang --json",
    "evaluate": "BUNDLE DATA --lang --json",
    "report": "RUN -o --out --lang",
    "board": "RUN --port",
}


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(build())
    return dict(group.commands)


def names_of(parameter: Any) -> list[str]:
    return [parameter.metavar] if parameter.param_type_name == "argument" else list(parameter.opts)


def test_the_public_names_are_these_and_all_can_be_loaded() -> None:
    assert yunti.__all__ == NAMES
    assert dir(yunti) == NAMES
    assert all(getattr(yunti, name) is not None for name in NAMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="clim"):
        _ = yunti.clim  # type: ignore[attr-defined]


def test_the_flags_are_these() -> None:
    found = {
        name: {each for parameter in command.params for each in names_of(parameter)}
        for name, command in commands().items()
    }
    assert found == {name: set(flags.split()) for name, flags in FLAGS.items()}


def test_every_command_and_flag_has_one_sentence_of_help() -> None:
    for name, command in commands().items():
        texts = {name: command.help, **{names_of(each)[0]: each.help for each in command.params}}
        for flag, text in texts.items():
            assert text, f"{name} {flag} has no help"
            assert text[0].isupper(), f"{name} {flag}: {text}"
            assert text.endswith("."), f"{name} {flag}: {text}"
            assert text.count(". ") == 0, f"{name} {flag}: {text}"
