"""LLVM IR: programs compiled in the sandbox, twice, for size and for speed."""
