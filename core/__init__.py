"""The vocabulary of the project: schemas, datasets, recipes, seeds, tokens, shards. Imports no Beam and no torch."""

__version__ = "0.1.0"
