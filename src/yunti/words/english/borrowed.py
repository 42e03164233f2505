"""What rungs say that stand on a pretrained language model, and what is said when a model leaves for another place."""

BORROWED = {
    "rung.pretrained writer": "A pretrained language model as it is: nothing is learned, it only reads and is scored.",
    "rung.adapted writer": "A pretrained language model stays as it is, and small products of matrices beside its "
    "layers learn.",
    "rung.tuned writer": "A pretrained language model learns on with all its weights, slowly.",
    "unfit.no causal": "the pretrained model does not write: {name} is no causal language model",
    "unfit.no tokeniser": "{folder} has no tokenizer.json, by which the pretrained model reads texts",
    "unfit.tokeniser": "the tokeniser in {folder} would lose parts of texts, or cannot be read: {got}",
    "unfit.template": "the chat template in {folder} cannot be used for conversations: {got}",
    "writer.rank": "small texts need few numbers; four times as many from about {many:,.0f} tokens on",
    "writer.adapters rate": "{times:g} times the rate at which all weights would learn (Schulman et al. 2025)",
    "writer.whole rate": "4e-5 for states of 768 numbers, as 1 / width for others",
    "writer.epochs": "once for many texts, three times for few: more is learned by heart",
    "writer.context": "as many tokens as the pretrained model reads at once, and at most {most:,}",
}
