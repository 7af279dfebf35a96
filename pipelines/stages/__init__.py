"""The stages: parts in, parts out."""
