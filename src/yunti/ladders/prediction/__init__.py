"""The prediction ladder: classification and regression on any mixture of columns, simplest first."""

from yunti.ladders.rung import Rung

LADDER: tuple[Rung, ...] = ()
