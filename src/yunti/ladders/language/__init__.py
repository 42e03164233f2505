"""The language ladder: models that say what comes next in a text, and write; simplest first."""

from yunti.ladders.language import gpt, kneser_ney, lstm, unigram
from yunti.ladders.rung import Rung

LADDER: tuple[Rung, ...] = (unigram.RUNG, kneser_ney.RUNG, lstm.RUNG, gpt.RUNG)
