"""Tables: Parquet, JSONL, Arrow and the data sets of The Stack, by a map of columns."""
