"""The language classifier's native library: its Go sources, pinned, and the program that builds it."""
