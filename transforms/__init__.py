"""The steps: one concern per file, pure functions on Arrow blocks. No file I/O and no torch here."""
