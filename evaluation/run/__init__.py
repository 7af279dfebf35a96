"""Runs tasks: asks a model (generate.py, with ours.py, endpoint.py or huggingface.py), keeps its answers (samples.py), judges them (score.py)."""
