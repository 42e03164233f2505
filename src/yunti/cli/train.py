"""`yunti train`: one rung at full strength."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Annotated, Any

import typer

from yunti.cli.climb import Device, Metric, Out, Pretrained, Source, check_alone, show_climb
from yunti.cli.options import (
    AsJson,
    Group,
    Keep,
    KindOption,
    Lang,
    Prompt,
    Seed,
    Split,
    Target,
    Task,
    Test,
    Time,
    read_kinds,
    read_task,
)
from yunti.errors import OptionError, SourceError

Rung = Annotated[str | None, typer.Option(metavar="NAME", help="The rung to train; `yunti rungs` lists them.")]
Config = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A YAML, JSON or TOML file of settings, as for --set."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set training.…, model.… or engine.… by hand; may be repeated."),
]
Budget = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="The most time it may take; else as long as its recipe takes."),
]
Refit = Annotated[
    bool, typer.Option("--refit", help="Train it anew on training and validation rows together before the test.")
]
Resume = Annotated[
    str | None, typer.Option(metavar="RUN", help="Go on with the training of this run folder, with nothing else given.")
]


def train(
    source: Source = None,
    *,
    rung: Rung = None,
    target: Target = None,
    prompt: Prompt = None,
    config: Config = None,
    settings: Set = None,
    budget: Budget = None,
    task: Task = None,
    metric: Metric = None,
    test: Test = None,
    split: Split = None,
    group: Group = None,
    time: Time = None,
    kind: KindOption = None,
    keep: Keep = None,
    seed: Seed = 0,
    device: Device = "auto",
    pretrained: Pretrained = None,
    refit: Refit = False,
    out: Out = None,
    resume: Resume = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    """Train one rung with its whole recipe, on one or many processes."""
    began = clock.monotonic()
    options: dict[str, Any] = {
        "target": target,
        "prompt": prompt,
        "budget": budget,
        "task": read_task(task),
        "metric": metric,
        "test": test,
        "split": split,
        "group": group,
        "time": time,
        "kinds": read_kinds(kind),
        "keep": tuple(keep or ()),
        "seed": seed,
        "device": device,
        "pretrained": pretrained,
        "refit": refit,
        "out": out,
    }
    from yunti.climbing.single import resume_training
    from yunti.climbing.single import train as train_rung

    if resume is not None:
        check_alone(resume, source, {**options, "rung": rung, "config": config, "set": settings})
        show_climb(lambda tell: resume_training(resume, tell=tell, began=began), lang, as_json)
        return
    if source is None or rung is None:
        what = "no SOURCE was given" if source is None else "no --rung was given"
        raise OptionError(
            "train", "it needs data and a rung", what, "for example: yunti train sample:digits --rung mlp"
        )
    given = dict([*read_config(config), *read_assignments(settings)])
    show_climb(lambda tell: train_rung(source, rung, settings=given, tell=tell, began=began, **options), lang, as_json)


def read_config(name: str | None) -> list[tuple[str, Any]]:
    """Read the settings of a file, by names with dots.

    Raises:
        SourceError: it cannot be read, or holds no settings.
    """
    import json
    import tomllib

    import yaml

    from yunti.models.settings import flat

    if name is None:
        return []
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
        read = {".toml": tomllib.loads, ".json": json.loads}.get(path.suffix, yaml.safe_load)
        content = read(text)
        if isinstance(content, dict):
            return flat(content)
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SourceError(name, "the settings must be readable", said or str(error), "check its name") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise SourceError(name, "it must be valid YAML, JSON or TOML", said, "mend it there") from error
    mend = "write for example training: {epochs: 20}"
    raise SourceError(name, "it must hold named settings", f"it holds {type(content).__name__}", mend)


def read_assignments(given: list[str] | None) -> list[tuple[str, Any]]:
    """Read `NAME=VALUE` pairs.

    Raises:
        OptionError: a pair without "=".
    """
    pairs = []
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise OptionError("--set", "it must be NAME=VALUE", f"{each!r} is not", "write --set training.epochs=20")
        pairs.append((name.strip(), value.strip()))
    return pairs
