"""Near-duplicates: signatures, band keys, verification by exact Jaccard, and the choice of the file to keep."""
