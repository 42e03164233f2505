"""Shared parts of models: the contract, features by kind of column, layers, and counted costs."""
