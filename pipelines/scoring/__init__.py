"""Fits the scorer that measure.score of a recipe names, on labelled examples: `starmill score-train`."""
