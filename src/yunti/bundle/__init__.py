"""A trained model made portable: weights, encoder, task, card, hashes and probe; nothing is ever unpickled."""
