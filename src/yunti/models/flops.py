"""Counted floating-point operations."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


def counting() -> FlopCounterMode:
    """Return what counts the operations that run within it; a multiplication with its addition counts two.

    Matrix products, convolutions, attention and recurrent layers are counted; what works on single numbers is not.

    Example:
        >>> with counting() as counter:
        ...     product = torch.ones(2, 3) @ torch.ones(3, 4)
        >>> counter.get_total_flops()
        48
    """
    return FlopCounterMode(display=False, custom_mapping={**_recurrent(), **_attention()})


def _recurrent() -> dict[Any, Any]:
    """oneDNN's fused recurrent layer is one operation to torch: count its four gates by their shapes."""

    def forward(steps: Any, input_weight: Any, hidden_weight: Any, *_rest: Any, **_named: Any) -> int:
        length, rows, _ = steps
        return int(2 * length * rows * (_size(input_weight) + _size(hidden_weight)))

    def backward(steps: Any, input_weight: Any, hidden_weight: Any, *_rest: Any, **_named: Any) -> int:
        return 2 * forward(steps, input_weight, hidden_weight)

    return {
        torch.ops.aten.mkldnn_rnn_layer: forward,
        torch.ops.aten.mkldnn_rnn_layer_backward: backward,
    }


def _attention() -> dict[Any, Any]:
    """Fused attention on a processor, which torch counts on GPUs only."""

    def forward(queries: Any, keys: Any, values: Any, *_rest: Any, **_named: Any) -> int:
        return int(sdpa_flop_count(queries, keys, values))  # type: ignore[no-untyped-call]

    def backward(gradient: Any, queries: Any, keys: Any, values: Any, *_rest: Any, **_named: Any) -> int:
        return int(sdpa_backward_flop_count(gradient, queries, keys, values))  # type: ignore[no-untyped-call]

    return {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: forward,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: backward,
    }


def _size(shape: Any) -> int:
    return int(torch.Size(shape).numel())
