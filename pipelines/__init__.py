"""One Beam pipeline a stage, wiring only; the readers of dumps; the command line."""
