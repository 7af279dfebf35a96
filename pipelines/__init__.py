"""One Beam pipeline per stage, wiring only; the readers of dumps; the command line."""
