"""What the rungs that stand on a pretrained model have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yunti.ladders.folders import unfit_place
from yunti.ladders.prediction.fit import REASONS, augment_on, rounded, too_few_rows
from yunti.models.contract import Size
from yunti.models.recipe import OF_BASE, Augment, Recipe
from yunti.specs import Kind, Spec
from yunti.words import say

if TYPE_CHECKING:
    from torch import nn

    from yunti.models.blueprint import Design, Reader
    from yunti.models.network import Network
    from yunti.models.pretrained.tuned import TunedReader

_NONE_THERE: Mapping[Kind, str] = {"text": "unfit.texts", "image": "unfit.images", "audio": "unfit.sounds"}
HEAD_RATE = 1e-3  # of what is new: head, norms, and the parts that read the other columns
_SHORT_STEPS = 100
LEAST_STEPS_WHOLE, LEAST_STEPS_ADAPTED = 200, 100  # fewer leave a model about where it was; adapters learn faster
_PASSES = 3.0  # forward and twice as much back


def unfit_for(spec: Spec) -> str | None:
    """Say why no rung on a pretrained model can serve, or None; looks at the folder's files, never at weights."""
    if (reason := unfit_place(spec) or too_few_rows(spec)) or not Path(spec.pretrained or "").is_dir():
        return reason  # what a name on the hub reads is found when it is there
    from yunti.errors import RungError
    from yunti.models.hub import kind_of

    try:
        kind = kind_of(Path(spec.pretrained or ""))
    except RungError:
        return say("unfit.other model", folder=spec.pretrained)
    return None if spec.of_kind(kind) else say(_NONE_THERE[kind])


def build_on(name: str, spec: Spec, size: Size, design: Callable[[Spec, Reader, Size], Design], rank: bool) -> Network:
    """Make the untrained network of a rung whose base learns.

    Args:
        name: the rung's name.
        spec: the columns and the task.
        size: the dial.
        design: derives shape and recipe.
        rank: whether the base learns through adapters, whose rank stands in the shape, and keeps its own weights.
    """
    from yunti.data.encode import Reading
    from yunti.models.blueprint import Blueprint
    from yunti.models.network import Network
    from yunti.models.pretrained.tuned import TunedReader, fold

    def reader(spec: Spec) -> TunedReader:
        return TunedReader(spec.columns, Reading(side=32, tokens=200), spec.pretrained or "", is_own=not rank)

    finish = fold if rank else None
    return Network(
        spec,
        Blueprint(
            name,
            reader,
            design,
            assemble,
            on_base=True,
            least_steps=LEAST_STEPS_ADAPTED if rank else LEAST_STEPS_WHOLE,
            finish=finish,
        ),
        size,
    )


def assemble(shape: Mapping[str, Any], reader: Reader, outputs: int) -> nn.Module:
    """Make the module: the pretrained model, plain parts for the other columns, and a head on all of them."""
    from yunti.models.inputs import plain_part, table_parts
    from yunti.models.layers import Fused, Members
    from yunti.models.lora import add_adapters, turn
    from yunti.models.pretrained.base import IDLE
    from yunti.models.pretrained.tuned import BasePart

    reader = _tuned(reader)
    base = reader.base.load()
    if rank := shape.get("rank"):
        turn(base)
        add_adapters(base, rank, leave=IDLE)
        _leave_nothing_out(base)
    parts = table_parts(reader, shape["number_width"])
    widths = {"text": shape["token_width"]}
    parts.extend(plain_part(each, widths.get(each.kind, shape["stream_width"])) for each in reader.other_streams)
    parts.append(BasePart(base, reader.base.intake, list(reader.read), reader.base.width, is_frozen=bool(rank)))
    width = sum(part.width for part in parts)
    return Fused(parts, Members(width, [shape["width"]], shape["members"], outputs, shape["dropout"]))


def _leave_nothing_out(base: nn.Module) -> None:
    """Switch dropout off in a model that stays as it is: few numbers learn, and drawing the others costs a fifth."""
    from torch import nn

    for each in base.modules():
        if isinstance(each, nn.Dropout):
            each.p = 0.0


def shape_for(size: Size) -> dict[str, Any]:
    """Return what stands on the base, as wide as on a frozen one."""
    return {
        "width": rounded(size.dial * 256),
        "members": 8,
        "number_width": 12,
        "stream_width": 128,
        "token_width": 96,
        "dropout": 0.1,
    }


def reasons_for(size: Size, recipe: Recipe) -> dict[str, str]:
    """Return why the shape and the recipe are as they are."""
    return {
        **usual_reasons(recipe),
        "width": say("pretrained.width", dial=size.dial),
        "members": say("pretrained.members"),
        "epochs": say("tuned.epochs"),
        "rates": say("tuned.rates", rate=HEAD_RATE),
    }


def usual_reasons(recipe: Recipe) -> dict[str, str]:
    """Return why a recipe is as that of any network; of changes to rows nothing is said where there are none."""
    return {name: reason for name, reason in REASONS.items() if name != "augment" or recipe.augment != Augment()}


def told_of(reader: Reader) -> dict[str, Any]:
    """Return what the plan tells of the base."""
    base = _tuned(reader).base
    return {"base": base.place, "base_parameters": base.parameters, "base_sha256": base.weights_sha256}


def whole_rate(width: int) -> float:
    """Return the learning rate at which all weights of a base learn: smaller for wider ones, as they were published.

    Source: Devlin et al., 2019, BERT, arXiv 1810.04805, and Turc et al., 2019, arXiv 1908.08962: 2 to 5 · 10⁻⁵, the
    larger ones for the smaller models.

    Args:
        width: numbers of a row's vector.

    Example:
        >>> whole_rate(384), whole_rate(768), whole_rate(1024)
        (5e-05, 3e-05, 2e-05)
    """
    return 5e-5 if width < 512 else 3e-5 if width < 1024 else 2e-5


def tuned_epochs(rows: int) -> float:
    """Return how often every row is seen: 3 · √(10,000 / rows), between 1 and 20.

    Few rows need more passes until a base has settled (Mosbach et al., 2021, On the stability of fine-tuning BERT,
    arXiv 2006.04884).

    Example:
        >>> tuned_epochs(100), tuned_epochs(2500), tuned_epochs(10_000), tuned_epochs(1_000_000)
        (20.0, 6.0, 3.0, 1.0)
    """
    return round(min(20.0, max(1.0, 3 * (10_000 / rows) ** 0.5)), 1)


def tuned_batch(rows: int) -> int:
    """Return the rows of a step."""
    return 16 if rows < 2000 else 32


def recipe_for(spec: Spec, reader: Reader, base_rate: float) -> Recipe:
    """Return the recipe: small batches, a linear rise and fall, and what is new learns at its own rate.

    Args:
        spec: the columns and the task.
        reader: reads them.
        base_rate: at which the base learns.
    """
    return Recipe(
        batch=tuned_batch(spec.rows),
        epochs=tuned_epochs(spec.rows),
        learning_rate=base_rate,
        weight_decay=0.01,
        schedule="linear",
        warmup=0.1,
        rates=((OF_BASE, 1.0), ("", HEAD_RATE / base_rate)),
        augment=augment_on(spec, reader.streams),
    )


def passes(spec: Spec, steps: int) -> float:
    """Return how many rows go forward through the base in so many steps, three for each that it learns from.

    Example:
        >>> from yunti.specs import TaskSpec
        >>> passes(Spec((), TaskSpec("classification", "y", "accuracy", "higher"), rows=10_000), 200)
        19200.0
    """
    return _PASSES * min(steps * tuned_batch(spec.rows), tuned_epochs(spec.rows) * spec.rows)


def is_short(recipe: Recipe, rows: int) -> bool:
    """Say whether the whole recipe is less than a hundred steps."""
    return recipe.epochs * rows / recipe.batch < _SHORT_STEPS


def _tuned(reader: Reader) -> TunedReader:
    from yunti.models.pretrained.tuned import TunedReader

    assert isinstance(reader, TunedReader)
    return reader
