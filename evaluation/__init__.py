"""Scores models on benchmarks of code: generates, judges in a sandbox, and says with which data, decoding and versions."""
