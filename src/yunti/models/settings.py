"""What a user sets by hand: fields of a recipe, of a network's shape, and of the engine that trains it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, get_type_hints

from yunti.errors import OptionError, nearest
from yunti.models.recipe import Augment, Recipe

PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
_POSITIVE = ("training.batch", "training.epochs", "training.learning_rate", "model.dial")
_SHARES = ("training.warmup", "training.decay", "training.smoothing", "training.momentum", "training.average")


@dataclass(frozen=True)
class Engine:
    """How the engine works, whatever it trains.

    Args:
        precision: of products while training: "fp32", "bf16" or "fp16"; "auto" takes what is fastest here.
        compile: "always", "never", or "auto": where the training is long enough to repay it, measured.
        micro_batch: rows that go through the network at once, their gradients added up to the recipe's batch; 0 takes
            the most that fit the memory.
        checkpoint_seconds: time between checkpoints.
        rate_check: try half, one and two times the learning rate for some steps first, and take the best.
        sharding: "ddp" (every process holds the network), "fsdp" (each holds a part), or "auto", by the network's size.
        recompute: compute activations again on the way back instead of keeping them: less memory, a third more time.
    """

    precision: PrecisionName = "auto"
    compile: Literal["auto", "always", "never"] = "auto"
    micro_batch: int = 0
    checkpoint_seconds: float = 60.0
    rate_check: bool = False
    sharding: Literal["auto", "ddp", "fsdp"] = "auto"
    recompute: bool = False


@dataclass(frozen=True)
class Settings:
    """What a user set by hand; all else is derived.

    Args:
        training: names of fields of `Recipe`, with a dot for those of its `augment`, and their values.
        model: names of a network's shape, such as "width", or "dial", and their values.
        engine: how the engine works.
    """

    training: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    engine: Engine = Engine()

    @property
    def dial(self) -> float:
        """The dial that was set, or 1."""
        return float(self.model.get("dial", 1.0))

    def recipe(self, derived: Recipe) -> Recipe:
        """Return a derived recipe with what was set put in."""
        changes = {name: value for name, value in self.training.items() if "." not in name}
        inner = {name.partition(".")[2]: value for name, value in self.training.items() if "." in name}
        return replace(derived, **changes, augment=replace(derived.augment, **inner))

    def shape(self, derived: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return a derived shape with what was set put in.

        Args:
            derived: the shape that the rung derived.
            where: the rung's name, for the error.

        Raises:
            OptionError: the shape has no such name, or its value is of another kind.
        """
        changes = {name: value for name, value in self.model.items() if name != "dial"}
        for name, value in changes.items():
            known = [*derived, "dial"]
            if name not in derived:
                raise OptionError(f"model.{name}", f"{where} must know it", "it does not", _known(name, known, "model"))
            changes[name] = _like(f"model.{name}", value, derived[name])
        return {**derived, **changes}


def settings_from(values: Iterable[tuple[str, Any]]) -> Settings:
    """Make settings of names with dots, such as "training.learning_rate", and values; later ones win.

    Args:
        values: names and values; a value may be text, as from a command line.

    Raises:
        OptionError: a name is unknown, or a value is none that it can take.

    Example:
        >>> settings_from([("training.epochs", "3"), ("engine.precision", "fp32")]).training
        {'epochs': 3.0}
    """
    training: dict[str, Any] = {}
    model: dict[str, Any] = {}
    engine: dict[str, Any] = {}
    for name, value in values:
        part, _, rest = name.partition(".")
        if part == "model" and rest:
            model[rest] = _number(value)
        elif name in TRAINING:
            training[rest] = _read(name, value, TRAINING[name])
        elif name in ENGINE:
            engine[rest] = _read(name, value, ENGINE[name])
        else:
            raise OptionError(name, "the setting must be known", "it is not", _known(name, [*TRAINING, *ENGINE]))
        _check_range(name, (training if part == "training" else model if part == "model" else engine)[rest])
    return Settings(training, model, Engine(**engine))


def flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of nested mappings by names with dots.

    Example:
        >>> flat({"training": {"epochs": 3, "augment": {"shift": 0.1}}})
        [('training.epochs', 3), ('training.augment.shift', 0.1)]
    """
    leaves: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping) and prefix != "model.":  # names in a shape are not split
            leaves += flat(value, f"{prefix}{name}.")
        else:
            leaves.append((f"{prefix}{name}", value))
    return leaves


def plain(settings: Settings) -> dict[str, Any]:
    """Return settings as flat names and values, only those that were set."""
    usual = asdict(Engine())
    engine = {name: value for name, value in asdict(settings.engine).items() if value != usual[name]}
    parts = {"training": settings.training, "model": settings.model, "engine": engine}
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}


def _names(kind: type, prefix: str) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f"{prefix}{each.name}": hints[each.name] for each in fields(kind) if not is_dataclass(hints[each.name])}


TRAINING = _names(Recipe, "training.") | _names(Augment, "training.augment.")
ENGINE = _names(Engine, "engine.")


def _known(name: str, names: Iterable[str], prefix: str = "") -> str:
    listed = list(names)
    hint = nearest(name, listed)
    return hint if not prefix else f"{hint} (each after `{prefix}.`)"


def _read(name: str, value: Any, kind: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        if isinstance(value, str) and str(kind).startswith("tuple"):
            return TypeAdapter(kind).validate_json(value)
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise OptionError(
            name, "its value must be of its kind", f"{value!r} is not", said[0].lower() + said[1:]
        ) from None


def _check_range(name: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(name, "it must be a finite number", f"{value!r} was given", "give such a number")
    if name in _POSITIVE and not (isinstance(value, int | float) and value > 0):
        raise OptionError(name, "it must be greater than 0", f"{value!r} was given", "give a positive number")
    if name in _SHARES and not 0 <= value < 1:
        raise OptionError(name, "it must lie from 0 to under 1", f"{value!r} was given", "give such a number")
    if isinstance(value, int | float) and value < 0:
        raise OptionError(name, "it must not be negative", f"{value!r} was given", "give 0 or more")


def _number(value: Any) -> Any:
    """Read text as JSON where it is some: numbers, lists, true and false."""
    import json

    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _like(name: str, value: Any, derived: Any) -> Any:
    both_numbers = isinstance(value, int | float) and isinstance(derived, float)
    if not both_numbers and type(value) is not type(derived):
        kind = type(derived).__name__
        raise OptionError(
            name, f"its value must be like the derived {derived!r} ({kind})", repr(value), "give such a one"
        )
    return float(value) if both_numbers else value
