"""Readers of dumps: each plans repositories and reads one, one entry per file, with a reason where there is no content."""
