"""The language ladder: models that say what comes next in a text, and write; simplest first."""

from yunti.ladders.language import finetuned, gpt, kneser_ney, lora, lstm, pretrained, unigram
from yunti.ladders.rung import Rung

LADDER: tuple[Rung, ...] = (
    unigram.RUNG,
    kneser_ney.RUNG,
    lstm.RUNG,
    gpt.RUNG,
    pretrained.RUNG,
    lora.RUNG,
    finetuned.RUNG,
)
