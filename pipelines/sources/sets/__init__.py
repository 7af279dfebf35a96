"""Small sets of questions, proofs and pairs, each a table of its own columns."""
