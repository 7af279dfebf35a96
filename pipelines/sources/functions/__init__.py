"""Documented functions of a file, with the imports that they need: what a model writes instructions from."""
