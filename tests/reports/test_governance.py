"""The governance card: what was withdrawn later is told, with the digest of the list and not its text."""

import json
from pathlib import Path

from starmill.core.dataset import Manifest, Workspace
from starmill.reports import governance
from starmill.reports.datacard import Facts

CARD = {"name": "Some <data>", "version": "1.2.0", "contact": "https://example.org/out", "date": None}


def card_of(place: Path) -> str:
    facts = Facts(
        Manifest("release", "dataset", "k", "0" * 64, "0.1.0", ()), 3, 30, licenses={"MIT": 3}, types={"permissive": 3}
    )
    return governance.text(Workspace(str(place)), facts, {"card": CARD, "steps": {}}, ["portrait", "fingerprints"])


def test_what_was_withdrawn_is_told(tmp_path: Path) -> None:
    before = card_of(tmp_path)
    assert "Nothing was withdrawn" in before and "https://example.org/out" in before and "MIT" in before
    assert "<data>" not in before and "portrait, fingerprints" in before
    (tmp_path / "withdrawals").mkdir()
    said = {"removed": {"records": [{"files": 2}, {"files": 5}]}, "list": {"sha256": "ab" * 32}}
    (tmp_path / "withdrawals/00000.json").write_text(json.dumps(said))
    assert f"7 records by a list with the sha256 `{'ab' * 32}`" in card_of(tmp_path)
