"""Every example in a docstring is true: the doctests of each module that has some."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ("core", "transforms", "reports", "pipelines", "model", "evaluation", "alignment", "trainer", "serving", "cli")
FILES = [
    file.relative_to(ROOT) for folder in HOUSE for file in sorted((ROOT / folder).rglob("*.py")) if ">>> " in file.read_text()
]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_examples(file: Path) -> None:
    found = doctest.testmod(importlib.import_module(f"starmill.{'.'.join(file.with_suffix('').parts)}"))
    assert found.attempted and not found.failed
