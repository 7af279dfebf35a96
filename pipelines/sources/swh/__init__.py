"""Software Heritage: exports of the graph joined with the contents of its object store."""
