"""The steps: one concern a file, pure functions on Arrow blocks. No file I/O and no torch here."""
