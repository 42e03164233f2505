"""What a bundle says of rows that it scores."""

BUNDLE = {
    "evaluate.broken": "{count:,} {count:row|rows} could not be read, such as row {row:d} of {file}: {reason:said}.",
    "evaluate.no answer": "{count:,} {count:row has|rows have} no {target!r} and {count:is|are} not scored.",
    "evaluate.strange label": "{count:,} {count:row has|rows have} a label in {target!r} that the model has not "
    "learned, such as {labels} (row {row:,}), and {count:is|are} not scored.",
}
