"""`yunti export`: a language model as a folder that `transformers` reads."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from yunti.cli.options import Lang, reader_of
from yunti.cli.predict import BundlePath

Folder = Annotated[str, typer.Argument(metavar="DIR", help="Where to write: a folder that is new or empty.")]


def export(bundle: BundlePath, folder: Folder, lang: Lang = None) -> None:
    """Write a language model as a Hugging Face folder, for transformers and for --pretrained."""
    with reader_of(lang):
        from yunti.bundle.bundle import load_bundle
        from yunti.words import spoken

        load_bundle(bundle).export(folder)
        sys.stderr.write(spoken("export.written", path=folder) + "\n")
