"""Readers of dumps. Each plans repositories and reads one: records, or what was lost and why. pipelines/recipe.py lists them."""
