"""Instructions from commits: what a message asks for, and what its author changed (OctoPack)."""
