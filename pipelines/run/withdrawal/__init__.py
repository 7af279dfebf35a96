"""Takes what a list names out of a finished workspace, and says so in an attestation."""
