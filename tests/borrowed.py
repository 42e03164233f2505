"""Small pretrained language models with weights drawn at random, and texts for them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from yunti.data.table import Examples, Table, Texts
from yunti.ladders.find import find_rung
from yunti.models.contract import Size
from yunti.specs import ColumnSpec, Spec
from yunti.tasks.task import infer_task

LINES = ["the cat sat on the mat", "the dog sat on the log", "云梯很高", "a cat and a dog sat"]
SMALL: dict[str, Any] = {"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
CONFIGS = {
    "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, **SMALL),
    "llama": LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=64, **SMALL,
    ),
}  # fmt: skip


def write_base(folder: Path, kind: str = "llama") -> Path:
    """Write a small model with weights drawn at random, and byte-level BPE that puts <s> before a text."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(CONFIGS[kind])
    for weight in model.parameters():
        weight.data.mul_(3)  # so that it is far from saying the same of all tokens
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", "bos_token": "<s>"}))
    return folder


@cache
def bases() -> dict[str, str]:
    return {kind: str(write_base(Path(mkdtemp()) / kind, kind)) for kind in CONFIGS}


def examples(rows: int, seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    texts = [". ".join(random.choice(LINES, 12)) for _ in range(rows)]
    return Examples(Table({"text": Texts(pa.array(texts, pa.large_string()))}), np.zeros(rows), np.arange(rows))


def built(name: str, base: str | None, rows: int = 40) -> Any:
    spec = Spec((ColumnSpec("text", "text", length=250),), infer_task("language", "text"), rows, pretrained=base)
    return find_rung("language", name).build(spec, Size())
