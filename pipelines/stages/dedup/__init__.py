"""The one global stage: its graph, what its workers read, and its verdicts."""
