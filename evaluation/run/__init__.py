"""Runs tasks: asks a model (generate.py; ours.py, endpoint.py, huggingface.py), keeps its answers (samples.py), judges them (score.py)."""
