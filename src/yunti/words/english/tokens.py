"""What is said about tokens: which kind texts are turned into, and why."""

TOKENS = {
    "coder.bytes": "bytes: {size:,} tokens",
    "coder.characters": "characters: {size:,} tokens, {known:,} of them beyond ASCII; a character not among them is "
    "written in bytes",
    "coder.pairs": "byte-level BPE: {size:,} tokens, learned from the training texts",
    "coder.folder": "byte-level BPE of the pretrained model {name}: {size:,} tokens",
    "coder.chat": "{coder:said}; conversations by the marks {marks}",
    "choice.characters": "characters as tokens: {size} of text with {distinct:,} distinct "
    "{distinct:character|characters} are too little to learn more tokens from",
    "choice.script": "byte-level BPE of {tokens:,} tokens: {common:,} {common:character|characters} beyond ASCII are seen "
    "{times:d} times in {size} of text, and each should be a token",
    "choice.pairs": "byte-level BPE of {tokens:,} tokens: in {size} of text about as many can be expected {times:d} "
    "times each",
}
