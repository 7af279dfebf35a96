"""Weights in and out: Hugging Face, Megatron."""
