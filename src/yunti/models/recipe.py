"""How a network wishes to be trained: plain numbers that a rung derives and the engine in `yunti.training` follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

ScheduleName = Literal["wsd", "cosine", "linear", "constant"]
OptimiserName = Literal["adamw", "adam", "sgd", "muon"]
OF_BASE = ".base."  # in the names of a pretrained model's weights

LEAST_STEPS = 30  # of a training that can teach a new network anything


@final
@dataclass(frozen=True)
class Augment:
    """Changes to training rows that leave their answer as it is; 0 or False leaves a change out.

    Args:
        shift: a picture moves by up to this share of its side, the edge repeated.
        mirror: pictures are mirrored left to right half of the time, if the training rows allow it.
        erase: side of a grey square laid on a picture, as a share of its side (DeVries and Taylor, 2017, Cutout).
        mask: share of a spectrogram's bands and frames that is blanked (Park et al., 2019, SpecAugment).
        warp: a spectrogram is stretched along its bands by up to this share and moved by up to half as much: a longer
            or shorter throat (Jaitly and Hinton, 2013, Vocal tract length perturbation).
        tilt: deviation of a smooth curve over the bands that is added to a spectrogram: another voice, microphone or
            room (after Nam et al., 2022, FilterAugment).
        stretch: a sound or sequence is played faster or slower by up to this share.
        noise: standard deviation of noise added to spectrograms and sequences, which have unit deviation.
        drop: share of a text's tokens that are hidden as unknown.
        mixup: α of Beta(α, α), by which two rows of a batch and their answers are mixed (Zhang et al., 2018, mixup,
            arXiv 1710.09412); what can be mixed are numbers, pictures, sounds and sequences.
    """

    shift: float = 0.0
    mirror: bool = False
    erase: float = 0.0
    mask: float = 0.0
    warp: float = 0.0
    tilt: float = 0.0
    stretch: float = 0.0
    noise: float = 0.0
    drop: float = 0.0
    mixup: float = 0.0


@final
@dataclass(frozen=True)
class Recipe:
    """What the training loop needs to know.

    Args:
        batch: rows a step.
        epochs: times that every training row is seen.
        learning_rate: its peak.
        weight_decay: decay of weight matrices: decoupled with "adamw" and "muon" (Loshchilov and Hutter, 2019), an
            L2 penalty of half as much with "adam" and "sgd".
        l1: factor on the sum of the absolute values of weight matrices, added to the loss.
        optimiser: "adamw"; "adam"; "sgd" with Nesterov's momentum; or "muon" for hidden matrices and convolutions with
            AdamW for the rest.
        momentum: of "sgd" and of "muon".
        schedule: how the learning rate rises and falls.
        warmup: share of the steps over which it rises.
        decay: share of the steps over which it falls to zero ("wsd").
        smoothing: label smoothing (Szegedy et al., 2016).
        clip: most that the norm of the gradient may be; 0 leaves it as it is.
        average: decay of the moving average of the weights that is judged and kept (Polyak and Juditsky, 1992), such
            as 0.999; 0 keeps the weights themselves.
        patience: share of the planned evaluations without a better score after which training ends early.
        rates: (part of a parameter's name, factor on its learning rate); the first that matches counts.
        augment: changes to training rows.
    """

    batch: int
    epochs: float
    learning_rate: float
    weight_decay: float = 0.01
    l1: float = 0.0
    optimiser: OptimiserName = "adamw"
    momentum: float = 0.95
    schedule: ScheduleName = "wsd"
    warmup: float = 0.05
    decay: float = 0.4
    smoothing: float = 0.0
    clip: float = 1.0
    average: float = 0.0
    patience: float = 0.35
    rates: tuple[tuple[str, float], ...] = ()
    augment: Augment = Augment()


def carried(recipe: Recipe, dial: float) -> Recipe:
    """Return the recipe of a rung's usual width for another width.

    Adam's best rate falls as 1 / width (Yang et al., 2022, Tensor programs V, arXiv 2203.03466); the update of Muon
    has one size for all widths, and that of SGD follows its gradients. The rule is exact to a factor of about two.

    Args:
        recipe: suits the usual width.
        dial: the width, 1 for the usual one.

    Example:
        >>> carried(Recipe(128, 10, 1e-3), 0.5).learning_rate
        0.002
        >>> carried(Recipe(128, 10, 1e-3, optimiser="muon"), 0.5).learning_rate
        0.001
    """
    if recipe.optimiser not in ("adamw", "adam"):
        return recipe
    return replace(recipe, learning_rate=recipe.learning_rate / dial)


def kept_beside(recipe: Recipe, derived: float) -> Recipe:
    """Return a recipe whose learning rate, if it was set by hand, is the base's: what is new keeps the rate it had.

    Args:
        recipe: with what was set by hand.
        derived: the learning rate that its rates were derived for.

    Example:
        >>> kept_beside(Recipe(16, 3, 2e-4, rates=((".base.", 1.0), ("", 10.0))), 1e-4).rates
        (('.base.', 1.0), ('', 5.0))
    """
    times = derived / recipe.learning_rate
    rates = tuple((part, factor if part == OF_BASE else factor * times) for part, factor in recipe.rates)
    return replace(recipe, rates=rates)
