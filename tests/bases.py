"""Tiny pretrained models with random weights, saved as Hugging Face saves models, and rows that they can read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import transformers

from yunti.data.table import Examples, Images, Numbers, Ragged, Table, Texts
from yunti.specs import ColumnSpec, Spec, TaskSpec

TWO = TaskSpec("classification", "y", "accuracy", "higher", ("no", "yes"))
WORDS = ("good", "fine", "bad", "poor", "film", "book", "very", "the")
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
RATE = 4000


def text_base(folder: Path) -> Path:
    (folder / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return _saved(transformers.BertModel, transformers.BertConfig(vocab_size=13, **SMALL), folder)


def picture_base(folder: Path) -> Path:
    config = transformers.ViTConfig(image_size=16, patch_size=4, **SMALL)
    return _saved(transformers.ViTModel, config, folder)


def wave_base(folder: Path, norm: str = "layer") -> Path:
    convolutions = {"conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (5, 8), "num_feat_extract_layers": 2}
    config = transformers.Wav2Vec2Config(
        feat_extract_norm=norm, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, **convolutions, **SMALL
    )
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=2 * RATE).save_pretrained(folder)
    return _saved(transformers.Wav2Vec2Model, config, folder)


def whisper_base(folder: Path) -> Path:
    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=16, vocab_size=20, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1, init_std=0.2,
    )  # fmt: skip
    transformers.WhisperFeatureExtractor(feature_size=16).save_pretrained(folder)
    return _saved(transformers.WhisperModel, config, folder)


def spectrogram_base(folder: Path) -> Path:
    config = transformers.ASTConfig(num_mel_bins=32, max_length=64, **SMALL)
    transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64).save_pretrained(folder)
    return _saved(transformers.ASTModel, config, folder)


def reviews(rows: int, seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, rows).astype(np.int32)
    texts = [
        " ".join(["the", random.choice(["film", "book"]), random.choice(WORDS[:2] if answer else WORDS[2:4]), "very"])
        for answer in target
    ]
    texts[0] = None
    stars = Numbers(random.normal(0, 1, rows).astype(np.float32))
    return _rows({"text": Texts(pa.array(texts, pa.large_string())), "stars": stars}, target)


def pictures(rows: int, seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, rows).astype(np.int32)
    pixels = random.integers(0, 80, (rows, 8, 8, 1)).astype(np.uint8)
    pixels[target == 1] += 120
    return _rows({"i": Images(pixels, np.ones(rows, dtype=bool))}, target)


def sounds(rows: int, seed: int = 0) -> Examples:
    """Low and high tones of different length; the first is missing."""
    random = np.random.default_rng(seed)
    target = random.integers(0, 2, rows).astype(np.int32)
    lengths = random.integers(800, 1200, rows)
    lengths[0] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    pitches = np.where(target == 1, 1200, 200)
    tones = [np.sin(2 * np.pi * pitch * np.arange(n) / RATE) for n, pitch in zip(lengths, pitches, strict=True)]
    values = (0.5 * np.concatenate(tones) + random.normal(0, 0.01, offsets[-1])) * 32767
    return _rows({"s": Ragged(values.astype(np.int16)[:, None], offsets)}, target)


def spec_of(kind: str, place: object, rows: int, task: TaskSpec = TWO) -> Spec:
    columns = {
        "text": (ColumnSpec("text", "text", length=20), ColumnSpec("stars", "number")),
        "image": (ColumnSpec("i", "image", shape=(8, 8, 1)),),
        "audio": (ColumnSpec("s", "audio", rate=RATE, length=1000, channels=1),),
    }[kind]
    return Spec(columns, task, rows, pretrained=None if place is None else str(place))


def other_base(folder: Path, kind: str) -> Path:
    """Save a tiny model of one of the makes that differ in what their layers are and in how these are used."""
    words = {"vocab_size": 13, "pad_token_id": 0}
    narrow = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    convolutions = {"conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (5, 8), "num_feat_extract_layers": 2}
    config = {
        "t5": lambda: transformers.T5Config(**words, **narrow),
        "gpt2": lambda: transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, n_positions=64, **words),
        "t5 encoder": lambda: transformers.T5Config(**words, **narrow),
        "wavlm": lambda: transformers.WavLMConfig(
            feat_extract_norm="layer",
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            **convolutions,
            **SMALL,
        ),
        "siglip": lambda: transformers.SiglipVisionConfig(image_size=16, patch_size=4, **SMALL),
        "beit": lambda: transformers.BeitConfig(image_size=16, patch_size=4, drop_path_rate=0.5, **SMALL),
        "mobilenet": lambda: transformers.MobileNetV2Config(image_size=32, depth_multiplier=0.1),
        "grey": lambda: transformers.ViTConfig(image_size=16, patch_size=4, num_channels=1, **SMALL),
        "oblong": lambda: transformers.ViTConfig(image_size=[8, 16], patch_size=4, **SMALL),
        "many": lambda: transformers.ViTConfig(image_size=16, patch_size=4, num_channels=5, **SMALL),
        "swin": lambda: transformers.SwinConfig(
            image_size=16,
            patch_size=2,
            window_size=4,
            embed_dim=16,
            depths=[1, 1],
            num_heads=[2, 2],
            drop_path_rate=0.5,
        ),
        "resnet": lambda: transformers.ResNetConfig(
            embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic"
        ),
    }[kind]()
    if kind == "wavlm":
        transformers.Wav2Vec2FeatureExtractor(sampling_rate=2 * RATE).save_pretrained(folder)
    if kind in ("t5", "t5 encoder", "gpt2"):
        text_base(folder)
    make = transformers.T5EncoderModel if kind == "t5 encoder" else transformers.AutoModel.from_config
    return _saved(make, config, folder)


def _saved(model: Callable[..., Any], config: object, folder: Path) -> Path:
    torch.manual_seed(0)
    model(config).save_pretrained(folder)
    return folder


def _rows(columns: dict, target: np.ndarray) -> Examples:
    return Examples(Table(columns), target, np.arange(len(target), dtype=np.int64))
