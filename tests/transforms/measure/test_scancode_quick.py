"""ScanCode made quick is ScanCode: the same candidates with the same scores, and the same detections, in a process of its own each."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from starmill.transforms.measure.scancode_quick import rounded

# Reads texts, writes what ScanCode finds in each: all matches, and all candidates with their scores.
ASK = """
import json, sys
from starmill.transforms.measure import scancode_child, scancode_quick
if sys.argv[1] == "slow":
    scancode_quick.quicken = lambda index: None
detect = scancode_child.loaded()
from license_expression import get_spdx_licensing
from licensedcode import match_set
judge, seen = match_set.compute_candidates, []
def noted(*args, **options):
    found = judge(*args, **options)
    seen.append([(*map(list, map(list, vectors)), number, rule.identifier, list(words)) for vectors, number, rule, words in found])
    return found
match_set.compute_candidates = noted
found = [scancode_child.found(detect, get_spdx_licensing(), text, False) for text in json.load(sys.stdin)]
json.dump([seen, found], sys.stdout)
"""


def texts() -> list[str]:
    files = (f for name in ("numpy", "pluggy", "typer") for f in metadata.files(name) or [])
    places = [Path(str(f.locate())) for f in files if "LICENSE" in f.name.upper() and f.suffix in ("", ".txt")]
    some = [place.read_text(errors="replace")[:4000] for place in places][:3]
    edited = [text.replace("software", "program").replace("copyright", "right") for text in some]
    return [
        *some,
        *edited,
        "\n\n".join(some)[:6000],
        "word " * 50,
        "GPL licensed\n" * 3,
        "copying permitted, see LICENSE 12 34",
    ]


def test_candidates_scores_and_detections_are_scancodes_own() -> None:
    asked = json.dumps(texts())
    found: list[Any] = []
    for way in ("quick", "slow"):
        done = subprocess.run([sys.executable, "-c", ASK, way], input=asked, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    candidates, detections = found[0]
    assert sum(map(len, candidates)) > 100 and sum(bool(one["matches"]) for one in detections) > 6


@pytest.mark.parametrize("steps", [20, 1000, 2999])
def test_rounding_is_pythons(steps: int) -> None:
    values = np.concatenate((np.arange(3 * steps) / steps, np.random.default_rng(0).random(1000)))
    assert rounded(values).tolist() == [round(value, 1) for value in values.tolist()]
