"""Compiled code is kept for the next process, and made anew where there is no place to keep it."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import numpy as np
from starmill.transforms.jit import jit
from starmill.core.seeds import mix
kept = jit(mix)
print(type(kept._cache).__name__)
"""


def test_the_machine_code_is_kept_where_there_is_a_place(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
    )
    assert done.stdout.strip() == "FunctionCache"


def test_without_a_place_it_compiles_in_memory() -> None:
    # Source that lies in no file has nowhere to keep its machine code: as in a read-only image without a home.
    code = "exec(compile('def add(a, b): return a + b', '<nowhere>', 'exec'));from starmill.transforms.jit import jit;print(jit(add)(1, 2))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "3"
