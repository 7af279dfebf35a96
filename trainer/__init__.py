"""Shards to a model: data order, FIM, the loop, checkpoints. Imports core and model; knows nothing of Beam."""
