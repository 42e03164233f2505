"""Why a rung's plan is as it is: the reasons beside what was derived."""

PLANS = {
    # what all networks derive alike
    "why.batch": "small data are given small batches, so that there are still hundreds of steps",
    "why.epochs": "falls with the square root of the rows: ten times the rows are seen a third as often",
    "why.smoothing": "keeps probabilities off 0 and 1 where accuracy decides; none where probabilities are scored",
    "why.augment": "small moves only: what a mirror or a turn does to the answer cannot be known beforehand",
    "why.learning rate": "the usual peak of this kind of network under AdamW; it falls to zero at the end",
    "why.weight decay": "matrices only; norms, biases and scalings are left alone",
    "why.stems": "larger pictures are folded into channels first: full size costs most and tells least",
    "why.muon": "Muon learns convolutions in fewer epochs; it pays with large batches: from {rows:d} rows",
    "why.narrower rate": "{rate:g} at the usual width, divided by the dial",
    # each network
    "mlp.width": "times the dial {dial:g}; wider from 20,000 rows on",
    "mlp.members": "networks that share their weights and differ in the scaling of their input (TabM); fewer for more "
    "rows, and where a text, picture or sound costs most of the time",
    "mlp.batch": "grows with the {rows:d} training rows, so that small data still give thousands of steps",
    "mlp.epochs": "about {steps:.0f} steps: more data need more, but less than in proportion",
    "mlp.learning rate": "the usual peak for AdamW on small networks; falls to zero at the end",
    "mlp.dropout": "more where a row has thousands of inputs",
    "convnet.widths": "channels of each stage, times the dial {dial:g}; each stage halves the picture or the steps",
    "recurrent.width": "units of each direction, times the dial {dial:g}; wider from 5,000 rows on",
    "recurrent.layers": "one for text, where the words carry most; two for pictures, sounds and sequences",
    "recurrent.folds": "neighbouring steps are read as one, so that a row has at most about {steps:d} steps",
    "resnet.widths": "channels of the three stages, twice as many in each, times the dial {dial:g}; wider from 20,000 "
    "rows on",
    "resnet.blocks": "two a stage, as in ResNet-18",
    "transformer.width": "times the dial {dial:g}, in heads of {head:d}; narrower for tables and below 2,000 rows",
    "transformer.depth": "two blocks for text, three for tables, four for pictures and sounds, whose tokens are raw "
    "signal",
    "transformer.optimiser": "Muon for hidden matrices pays where batches are large: from {rows:d} rows, not for "
    "tables",
    "transformer.folds": "pixels, frames and steps are taken together so that a row has about {tokens:d} tokens",
    "pretrained.width": "of the one layer on top of the frozen vectors, times the dial {dial:g}",
    "pretrained.members": "heads that share their weights and differ in the scaling of their input (TabM)",
    # traditional models
    "linear.C": "weight of the data against the penalty: the lowest log-loss (or error) on the validation rows, along "
    "a path",
    "linear.link": "sparse features of more than two classes settle sooner each against the rest, and no worse",
    "linear.rows": "as many as hold {cells:.1e} values: a linear model has few weights to learn from them",
    "linear.correction": "factor of the scores (inverse temperature) with the lowest log-loss on the validation rows",
    "tree.min_samples_split": "the one of a geometric series with the lowest loss on the validation rows",
    "tree.max_depth": "likewise, together with it",
    "tree.shares": "those of a leaf are mixed with {rows:g} row of all classes, so that none is 0 (Cestnik 1990)",
    "tree.rows": "as many as have {cells:.0e} cells, less where time is short: growing cannot be broken off",
    "svm.gamma": "width of the kernel: the lowest loss on the validation rows, around the median distance of two rows",
    "svm.C": "weight of the data against the margin, likewise",
    "svm.landmarks": "all rows up to {rows:,} (the exact kernel), else {landmarks:,} (Nyström)",
    "svm.kernel": "none for sparse features, which are many enough to be divided by a plane",
    "svm.rows": "as many as memory and time allow",
    "boosting.learning rate": "LightGBM's tuned defaults (Holzmüller et al. 2024); higher where fewer rounds can be "
    "afforded",
    "boosting.rounds": "at most {rounds:d}, fewer where they would take minutes; the validation rows say when to stop",
    "boosting.leaves": "tuned defaults (Holzmüller et al. 2024), times the dial",
    "boosting.least rows": "tuned defaults, less for few rows: a leaf should not hold more than a twentieth of them",
    "boosting.feature share": "of more than {wide:d} features every tree looks at {part:d} or more, as many as time "
    "allows",
    "boosting.bins": "thresholds tried a feature; fewer where there are many cells",
    "boosting.bags": "below {rows:d} rows several models, each with its own part of the rows held out, are averaged",
    "unigram.added": "one half is added to each count (Krichevsky and Trofimov 1981): no text costs much more than by "
    "its own frequencies",
    "ngrams.order": "of {tokens:,} tokens out of {vocabulary:,} different ones, longer n-grams hardly occur twice",
    "ngrams.order best": "the fewest bits a token on validation text, by order: {listed}",
    "ngrams.least counts": "of each order; rarer n-grams are left to the shorter ones, so that the model has at most "
    "{bytes:,} bytes",
    # how much of a recipe fits the time
    "steps.whole": "{epochs:g} times through {rows:d} rows in batches of {batch:d}",
    "steps.part": "the time holds {share:.0%} of the training rows once",
    "steps.fewer": "the time holds {seen:.1f} of the {epochs:g} epochs that suit this data",
    "steps.again": "as many as were best before",
    "dial.narrower": "at full size the time would hold {share:.1%} of the recipe",
    # how a decoder gets its size
    "decoder.width": "{block:d} for every block",
    "decoder.heads": "each {width:d} wide",
    "decoder.context": "grows with the depth, and never beyond a 64th of the training texts",
    "decoder.tied": "a head of its own would be {share:.0%} of the blocks; up to 10% it is worth that",
    "decoder.dropout": "there are {per_token:.2g} parameters for every token of the training texts",
    "decoder.shared": "two heads of queries share one of keys and values: half the memory while writing",
    "decoder.cap": "keeps logits small in low precision; from {depth:d} blocks on",
    # how a network is run
    "run.found rate": "found best in the first training",
    "run.rates": "loss after {steps:d} steps at each rate: {losses}",
    "run.threads": "one where a step is so small that sharing it costs more than it saves",
    "run.by hand": "set by hand",
    "run.whole batch": "a step with the whole batch needs about {need:,.0f} MiB of {free:,.0f} free",
    "run.micro batch": "a step with {rows:d} rows at once needs about {need:,.0f} MiB of {free:,.0f} free",
    "run.compiled": "{compiled:.1f} ms a step instead of {usual:.1f}, after {seconds:.0f} s of compiling",
    "run.too short": "it pays from some {minutes:.0f} minutes of training on",
    "run.lengths": "every length of rows would be compiled anew",
    "run.failed": "it failed here: {error}",
    "run.mirror": "mirrored training pictures keep their class",
    "run.no mirror": "mirrored training pictures change class",
    "precision.GPU": "this GPU has units for it; TF32 where fp32 is kept",
    "precision.old GPU": "this GPU has no units for bf16; the loss is scaled",
    "precision.unknown": "bf16 was not measured on {device}",
    "precision.processor": "this processor has no bf16 instructions",
    "precision.timed": "bf16 products run at {fast:,.0f} GFLOP/s here, fp32 ones at {exact:,.0f}",
}
