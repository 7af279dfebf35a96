"""Steps that look into the text once more: what must not be trained on is dropped or redacted."""
