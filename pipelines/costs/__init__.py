"""What a run costs: measured on samples, computed for a dump."""
