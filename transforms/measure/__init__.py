"""Steps that add columns: what a file is, and what it holds."""
