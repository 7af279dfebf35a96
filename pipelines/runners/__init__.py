"""Where a stage's graph runs: here, on Flink, on Dataflow."""
