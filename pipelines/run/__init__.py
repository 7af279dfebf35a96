"""Runs stages: which parts are due, progress, a clean end."""
