"""What the training of networks says while it goes on, and why it ended as it did."""

TRAINING = {
    "training.begins anew": "the checkpoint here is of another training or other versions: this one begins anew",
    "training.goes on": "it goes on from its checkpoint of step {step:,} of {total:,}",
    "training.memory": "memory ran out at step {step:d}: {rows:d} rows at once from there on",
    "training.rescued": "{trouble:said} at step {step:d}: the rate was halved on the best weights",
    "trouble.no number": "the loss was no number",
    "trouble.exploded": "the loss was ten times what it was at the start",
    "checkpoint.passed over": "{damage:said}: {then:said}",
    "checkpoint.damaged": "{name} is damaged ({reason})",
    "checkpoint.both damaged": "{first:said} and {second:said}",
    "checkpoint.before": "the one before, of step {step:d}, is taken",
    "checkpoint.none": "the training begins anew",
    "checkpoint.not written": "the checkpoint of step {step:d} could not be written: {reason:said}",
    "checkpoint.not written but": "the checkpoint of step {step:d} could not be written: {reason:said}; {last:said}",
    "checkpoint.disk full": "the disk is full",
    "checkpoint.whole": "the one of step {step:d} is whole",
    "checkpoint.no other": "there is none yet",
    "ended.patience": "nothing better came after step {step:d}",
    "stopped.steps": "the time was over at step {step:d} of {total:d}",
    "stopped.slower": "the machine was slower than planned: {taken:d} of {total:d} steps were taken",
    "shortened.network": "shortened to {share:.1%} of its recipe to fit the time: {steps:,} steps",
    "shortened.narrower": "shortened to {share:.1%} of its recipe at {dial:.0%} of its width to fit the time: "
    "{steps:,} steps",
    "shortened.width": "narrowed to {dial:.0%} of its width to fit the time",
}
