"""The climb: rung after rung within a budget, compared on the same rows, until one is chosen."""
