"""The ladders: one folder a field, each a plain tuple of rungs, simplest first."""
