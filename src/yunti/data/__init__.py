"""From a file to a `Dataset`: read, understand, examine, split, and lay the columns out for training."""
