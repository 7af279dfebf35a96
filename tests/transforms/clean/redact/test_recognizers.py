"""Presidio's recognizers as detectors: those that installed packages declare, by name, and no others."""

import sys
from pathlib import Path

import pytest

from starmill.core.errors import UsageError
from starmill.transforms.clean.redact import Redact, recognizers

CODE = """
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult

class Badges(PatternRecognizer):
    def __init__(self):
        super().__init__("BADGE", patterns=[Pattern("badge", r"badge \\d+", 0.5)])

class People(EntityRecognizer):
    def __init__(self):
        super().__init__(["PERSON", "PHONE_NUMBER"])

    def load(self):
        pass

    def analyze(self, text, entities, nlp_artifacts=None):
        at = text.find("Jane Doe")
        return [RecognizerResult("PERSON", at, at + 8, 0.9), RecognizerResult("PERSON", -1, 99, 1.0)] if at >= 0 else []
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_recognizers.py").write_text(CODE)
    folder = tmp_path / "theirs-1.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.5\n")
    (folder / "entry_points.txt").write_text(
        f"[{recognizers.GROUP}]\nbadges = their_recognizers:Badges\npeople = their_recognizers:People\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    recognizers._loaded.cache_clear()
    yield
    recognizers._loaded.cache_clear()
    sys.modules.pop("their_recognizers", None)


def test_theirs_find_beside_ours(installed: None) -> None:
    text = "badge 12 of Jane Doe, jane" + "@corp.io"
    done, spans = Redact(recognizers=("badges", "people")).redact(text, "f")
    assert done == "<BADGE> of <NAME>, <EMAIL>"
    assert [(s["detector"], s["score"]) for s in spans] == [("badges", 0.5), ("people", 0.9), ("emails", 1.0)]
    assert Redact(recognizers=("badges",)).material() == ("their_recognizers:Badges theirs 1.5",)
    assert Redact(recognizers=("people",)).redact(done, "f") == (done, [])


def test_what_nobody_installed_is_refused_by_name(installed: None) -> None:
    for name in ("os:system", "nothing"):
        with pytest.raises(
            UsageError, match=r"no installed package declares it in starmill.recognizers \(there: .*badges, people"
        ):
            Redact(recognizers=(name,)).material()
