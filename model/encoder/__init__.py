"""A bidirectional encoder, and what it is asked: which spans of a text are names, passwords and other personal data."""
