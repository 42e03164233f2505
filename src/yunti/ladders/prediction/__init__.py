"""The prediction ladder: classification and regression on any mixture of columns, simplest first."""

from yunti.ladders.prediction import convnet, ensemble, mlp, recurrent, resnet, transformer
from yunti.ladders.rung import Rung

LADDER: tuple[Rung, ...] = (
    mlp.RUNG,
    convnet.RUNG,
    recurrent.RUNG,
    resnet.RUNG,
    transformer.RUNG,
    ensemble.RUNG,
)
