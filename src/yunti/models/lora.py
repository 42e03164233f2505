"""Low-rank adapters: a pretrained network stays as it is, and small products beside its matrices learn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yunti.errors import RungError

_STABLE_FROM = 64  # rank from which alpha is divided by its root: with the rank itself large ranks learn nothing more
_DOWN, _UP = "down", "up"


@final
class Adapted(nn.Module):
    """A linear layer with an adapter: y = W x + b + s · U D x, where D begins random and U as zeros.

    s = alpha / rank (Hu et al., 2022, arXiv 2106.09685), and alpha / √rank for large ranks (Kalajdzievski, 2023, arXiv
    2312.03732).

    Args:
        base: the layer; it does not learn.
        rank: of the product.
        alpha: its weight.
        dropout: share of the inputs hidden from the adapter.

    Example:
        >>> layer = nn.Linear(8, 4)
        >>> adapted = Adapted(layer, rank=2, alpha=4.0)
        >>> rows = torch.randn(3, 8)
        >>> torch.equal(adapted(rows), layer(rows))
        True
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.up = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.dropout = nn.Dropout(dropout)
        self.scale = alpha / (math.sqrt(rank) if rank >= _STABLE_FROM else rank)
        self.is_folded = False

    def forward(self, rows: Tensor) -> Tensor:
        """Return shape (..., outputs)."""
        plain: Tensor = self.base(rows)
        if self.is_folded:
            return plain
        return plain + F.linear(F.linear(self.dropout(rows), self.down), self.up) * self.scale

    @property
    def weight(self) -> Tensor:
        """The matrix that it stands for, s · U D in it, for code that reads it; what dropout hides is not hidden."""
        whole: Tensor = self.base.weight
        return whole if self.is_folded else whole + self.scale * (self.up @ self.down)

    @property
    def bias(self) -> Tensor | None:
        """The bias of the layer."""
        return self.base.bias

    def fold(self) -> None:
        """Add the adapter to the layer's weights, which then compute the same alone; it stays as it was learned."""
        if not self.is_folded:
            with torch.no_grad():
                self.base.weight += self.scale * (self.up @ self.down)
            self.is_folded = True

    def merged(self) -> nn.Linear:
        """Return a plain layer that computes the same."""
        self.fold()
        return self.base.requires_grad_(True)


def add_adapters(
    module: nn.Module, rank: int, alpha: float = 32.0, dropout: float = 0.0, leave: tuple[str, ...] = ()
) -> int:
    """Put an adapter beside every linear layer of a network, and let nothing else of it learn.

    All linear layers, not only those of attention: most of what adapters can learn they learn in the layers between
    (Schulman et al., 2025, LoRA without regret).

    Args:
        module: is changed in place.
        rank: of every adapter; at most that of its layer.
        alpha: their weight.
        dropout: share of the inputs hidden from the adapters.
        leave: parts of names of layers that get none, such as "lm_head".

    Returns:
        How many layers were adapted.

    Raises:
        RungError: there is no linear layer.
    """
    module.requires_grad_(False)
    found = [
        (name, layer)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) and not any(part in name for part in leave)
    ]
    if not found:
        raise RungError(
            "lora", "the network must have linear layers", f"{type(module).__name__} has none", "leave the rung out"
        )
    for name, layer in found:
        least = min(rank, layer.in_features, layer.out_features)
        _put(module, name, Adapted(layer, least, alpha, dropout))
    return len(found)


def linear_sizes(module: nn.Module) -> list[int]:
    """Return the inputs and outputs of every linear layer, added up: the weights of an adapter of rank 1.

    Those that `turn` makes linear are counted too.

    Args:
        module: may be on the device "meta", without numbers.

    Example:
        >>> linear_sizes(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1)))
        [12, 5]
    """
    return [
        sum(cast(Tensor, each.weight).shape)
        for each in module.modules()
        if isinstance(each, nn.Linear) or _lies_the_other_way(each)
    ]


def turn(module: nn.Module) -> tuple[str, ...]:
    """Make linear layers of GPT-2's own kind of them, whose weights lie the other way round, and return their names.

    Args:
        module: is changed in place.
    """
    turned = [(name, layer) for name, layer in module.named_modules() if _lies_the_other_way(layer)]
    for name, layer in turned:
        weight, bias = cast(Tensor, layer.weight), cast(Tensor | None, layer.bias)
        inputs, outputs = weight.shape
        linear = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
        linear.weight = nn.Parameter(weight.detach().T.contiguous())
        linear.bias = bias  # type: ignore[assignment]
        _put(module, name, linear)
    return tuple(name for name, _ in turned)


def merge_adapters(module: nn.Module) -> None:
    """Make plain layers of adapted ones again, which compute the same: for serving."""
    for name, layer in [*_adapted(module)]:
        _put(module, name, layer.merged())


def adapter_state(module: nn.Module) -> dict[str, Tensor]:
    """Return what the adapters learned, by the names of their layers: all that must be stored of them."""
    return {
        f"{name}.{part}": cast(Tensor, getattr(layer, part)).detach().clone()
        for name, layer in _adapted(module)
        for part in (_DOWN, _UP)
    }


def load_adapters(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Take back what adapters learned.

    Raises:
        RungError: they are not those of this network.
    """
    wanted = adapter_state(module)
    if {name: value.shape for name, value in wanted.items()} != {name: value.shape for name, value in state.items()}:
        raise RungError("lora", "the adapters must be those of this network", "they are others", "use their own base")
    with torch.no_grad():
        for name, layer in _adapted(module):
            layer.down.copy_(state[f"{name}.{_DOWN}"])
            layer.up.copy_(state[f"{name}.{_UP}"])


def _adapted(module: nn.Module) -> list[tuple[str, Adapted]]:
    return [(name, layer) for name, layer in module.named_modules() if isinstance(layer, Adapted)]


def _lies_the_other_way(layer: nn.Module) -> bool:
    return type(layer).__name__ == "Conv1D"  # of transformers, which only `hub` imports


def _put(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(module.get_submodule(parent), own, layer)
