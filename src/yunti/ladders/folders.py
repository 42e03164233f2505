"""Why a rung cannot stand on the pretrained model that was given: what its folder lacks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from yunti.specs import Spec
from yunti.words import say


def unfit_place(spec: Spec) -> str | None:
    """Say that no pretrained model was given, that it cannot be read here, or that its folder is none; or None.

    Files are looked at, never weights. A name on the hub is believed.
    """
    if spec.pretrained is None:
        return say("unfit.no model")
    if importlib.util.find_spec("transformers") is None:
        return say("unfit.no transformers")
    folder = Path(spec.pretrained)
    if not folder.is_dir():
        is_name = spec.pretrained.count("/") <= 1 and not spec.pretrained.startswith((".", "/", "~"))
        return None if is_name else say("unfit.no folder", folder=spec.pretrained)
    if not (folder / "config.json").is_file():
        return say("unfit.no config", folder=folder)
    if not any(folder.glob("*.safetensors")):
        return say("unfit.no weights", folder=folder)
    return say("unfit.not JSON", folder=folder) if told_by(folder) is None else None


def told_by(folder: Path) -> dict[str, Any] | None:
    """Return what a model's folder says of it in `config.json`; None where that is no JSON object."""
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
