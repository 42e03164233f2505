"""What the rungs say of themselves: their ideas, why they cannot serve, what time cut short."""

LADDERS = {
    # ideas
    "rung.constant": "Gives every row the same answer: the classes' shares or the mean, which any model must beat.",
    "rung.unigram": "Knows how frequent each token is, whatever stands before it: what any model of text must beat.",
    "rung.kneser_ney": "Counts which tokens followed the last few ones, and falls back to fewer where they were never seen.",
    "rung.lstm": "LSTM layers read a text token by token and carry what matters along in a state of fixed size.",
    "rung.gpt": "A decoder of a Transformer: every token attends to all that stand before it in its text.",
    "rung.linear": "Weighs every feature and adds up: logistic regression for classes, ridge regression for values.",
    "rung.tree": "Asks one question about one column after another, and answers with what is usual in the leaf it "
    "ends in.",
    "rung.svm": "Divides classes by the widest margin, through a Gaussian kernel or straight through the words.",
    "rung.boosting": "Adds many small decision trees, each fitted to what those before it still get wrong.",
    "rung.mlp": "Layers of neurons on embedded columns, as an ensemble of networks that share nearly all their "
    "weights.",
    "rung.convnet": "Small filters slide over pictures, words, spectrograms and sequences, and what they find is "
    "pooled.",
    "rung.resnet": "Many layers, each of which adds a little to what came in, so that depth does no harm.",
    "rung.recurrent": "LSTM layers read a row step by step, forwards and backwards, and keep what matters.",
    "rung.transformer": "Columns, words, patches and stretches of sound become tokens that attend to one another.",
    "rung.pretrained": "A pretrained model reads texts, pictures or sounds; only a small network on top of it is trained.",
    "rung.lora": "A pretrained model stays as it is, and small products of matrices beside its layers learn with the "
    "head.",
    "rung.finetuned": "A pretrained model learns on with all its weights, slowly, and the head on top of it faster.",
    "rung.ensemble": "A weighted average of the models trained below, chosen greedily.",
    # why a rung cannot serve
    "unfit.rows": "{rows:d} training rows are too few {purpose:said}: it needs {least:d}",
    "unfit.columns": "there is no column it could learn from",
    "purpose.linear": "for weights",
    "purpose.tree": "for a tree",
    "purpose.svm": "for a margin",
    "purpose.boosting": "to boost trees",
    "purpose.counts": "to count anything",
    "purpose.network": "to train a network",
    "unfit.kinds": "it reads {kinds:each} or {last:said} columns, and there is none",
    "unfit.no model": "no pretrained model was given: use --pretrained FOLDER",
    "unfit.no transformers": "the package transformers is not installed: run pip install 'yunti[pretrained]'",
    "unfit.no folder": "the folder {folder} does not exist",
    "unfit.no config": "{folder} has no config.json: it must be a folder as Hugging Face saves models",
    "unfit.no weights": "{folder} has no .safetensors file: weights in other formats can run code and are not read",
    "unfit.not JSON": "{folder}/config.json is not JSON",
    "unfit.texts": "the pretrained model reads text columns, and there is none",
    "unfit.images": "the pretrained model reads image columns, and there is none",
    "unfit.sounds": "the pretrained model reads audio columns, and there is none",
    "unfit.other model": "the model in {folder} reads neither text nor pictures nor sounds",
    "unfit.no linear": "the model in {folder} has no linear layers, beside which adapters stand: it is made of convolutions",
    # what time cut short
    "stopped.weights": "the time was over before the weights had settled",
    "stopped.weights of rows": "the time was over before the weights of {rows:,} rows had settled",
    "stopped.rounds": "the time was over after {grown:d} of {rounds:d} rounds of model {model:d} of {models:d}",
    "shortened.tree": "shortened to fit the time: grown from {rows:,} of {wanted:,} rows",
    "shortened.svm": "shortened to fit the time: fitted to {rows:,} of {wanted:,} rows",
    "shortened.texts": "shortened to fit the time: learned from one in {nth} of the texts",
    "shortened.ngrams": "shortened to fit the time: learned from the first {tokens:,} of {wanted:,} tokens",
    "shortened.boosting": "shortened to fit the time: {less:each}",
    "less.rounds": "at most {rounds:,} rounds at learning rate {rate:.3g}",
    "less.models": "{models:d} of {wanted:d} models",
    "less.rows": "{rows:,} of {wanted:,} rows",
    # plans
    "plan.share": "{share:.1%} of the training rows have it",
    "plan.logarithm": "its logarithm",
    "plan.as it is": "as it is",
}
