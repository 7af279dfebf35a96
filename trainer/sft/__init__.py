"""Supervised fine-tuning on conversations: chat templates, the loss on responses, packing."""
