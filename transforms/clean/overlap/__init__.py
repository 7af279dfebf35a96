"""Overlap of texts with benchmarks: what a benchmark is made of, its index, and the passes over the bytes that find it."""
