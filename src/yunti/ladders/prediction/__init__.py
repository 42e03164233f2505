"""The prediction ladder: classification and regression on any mixture of columns, simplest first."""

from yunti.ladders.prediction import (
    boosting,
    constant,
    convnet,
    ensemble,
    finetuned,
    linear,
    lora,
    mlp,
    pretrained,
    recurrent,
    resnet,
    svm,
    transformer,
    tree,
)
from yunti.ladders.rung import Rung

LADDER: tuple[Rung, ...] = (
    constant.RUNG,
    linear.RUNG,
    tree.RUNG,
    svm.RUNG,
    boosting.RUNG,
    mlp.RUNG,
    convnet.RUNG,
    recurrent.RUNG,
    resnet.RUNG,
    transformer.RUNG,
    pretrained.RUNG,
    lora.RUNG,
    finetuned.RUNG,
    ensemble.RUNG,
)
