"""Steps that split rows by rules over columns."""
