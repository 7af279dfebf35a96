"""Readers of dumps: each plans repositories and reads one, an entry a file, with a reason where there is no content."""
