"""What `withdraw` and `attest` print, and what they refuse."""

import json
from pathlib import Path

from small_tree import starmill
from small_workspace import build


def test_a_withdrawal_as_people_see_it(tmp_path: Path) -> None:
    build(tmp_path / "w")
    (tmp_path / "list.txt").write_text("repo3\n")
    dry = starmill("withdraw", "list.txt", "w", "--dry-run", cwd=tmp_path).stdout
    assert "would write again 3 files of 1 parts" in dry and "1 code records" in dry and dry.endswith("nothing was changed\n")
    assert json.loads(starmill("withdraw", "list.txt", "w", "--dry-run", "--json", cwd=tmp_path).stdout)["parts"] == [0]
    made = starmill("withdraw", "list.txt", "w/shards", cwd=tmp_path).stdout
    assert "part 0: 1 records" in made and "3 of 3 files changed" in made and "w/withdrawals/00000.json" in made
    attested = starmill("attest", "w/withdrawals/00000.json", "w", cwd=tmp_path)
    assert "3 files as attested, 3 of them changed by the withdrawal" in attested.stdout
    (tmp_path / "w/shards/part-00000.idx").write_bytes(b"")
    wrong = starmill("attest", "w/withdrawals/00000.json", "w", "--json", cwd=tmp_path, check=False)
    assert wrong.returncode == 1 and json.loads(wrong.stdout)["wrong"] == ["shards/part-00000.idx: has another sha256"]


def test_what_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "w")
    (tmp_path / "list.txt").write_text("repo3\n")
    for words, status, said in (
        (("withdraw", "none.txt", "w"), 1, "none.txt"),
        (("withdraw", "list.txt", "none"), 1, "none: no such folder"),
        (("withdraw", "list.txt", "w", "--published", "p"), 1, "--published p: nothing is published there"),
        (("attest", "list.txt", "w"), 1, "list.txt: not an attestation"),
        (("attest", "none.json", "w"), 1, "none.json"),
        (("attest", "list.txt", "none"), 1, "none: no such folder"),
    ):
        refused = starmill(*words, cwd=tmp_path, check=False)
        assert refused.returncode == status and said in refused.stderr, words
