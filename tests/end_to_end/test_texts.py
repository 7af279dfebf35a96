"""Small sets, pages and rewritten text from one recipe to shards: what table 3 takes out of each, and where each came from."""

import json
from pathlib import Path

import pytest

from starmill.cli import __main__ as cli
from starmill.core import swhid
from starmill.core.dataset import Workspace

MAIL, KEY, HOST = "jane.doe" + "@real-site.org", "AKIA" + "IOSFODNN7EXAMPLE", "93.184." + "216.34"
TEST = "Janet sells the eggs that her sixteen ducks lay every morning at the market for two dollars each."
PARENT = swhid.swhid("cnt", swhid.content_id(b"def area(w, h): return w * h"))


def table(file: Path, *rows: dict[str, object]) -> None:
    file.parent.mkdir()
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_is_kept_and_what_is_taken_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(tmp_path / "tests/t.jsonl", {"task_id": "t/1", "prompt": TEST, "canonical_solution": "18"})
    table(tmp_path / "sums/train.jsonl", *[{"question": f"{TEST} Ask {MAIL} on host {HOST}.", "answer": KEY}] * 3)
    table(tmp_path / "pages/train.jsonl", *[{"text": f"Euler wrote to {MAIL} on host {HOST}."}] * 2, {"text": f"See {TEST}"})
    said = f"This function multiplies a width by a height. Ask {MAIL} on host {HOST}."
    parents = (PARENT, PARENT, None, "area.py")
    table(tmp_path / "told/train.jsonl", *[{"text": said, "source": parent} for parent in parents])
    (tmp_path / "recipe.yaml").write_text(
        f"workspace: {tmp_path}/w\ntokenizer: {{vocab_size: 300, sample_bytes: 10000}}\n"
        f"release: {{benchmarks: ['{tmp_path}/tests/t.jsonl']}}\nsources:\n"
        f"  sums: {{kind: set, dataset: gsm8k, place: {tmp_path}/sums}}\n"
        f"  pages: {{kind: set, dataset: open-web-math, place: {tmp_path}/pages}}\n"
        f"  told: {{kind: table, records: rewritten, place: {tmp_path}/told, columns: {{parent: source}}}}\n"
    )
    assert cli.main(["run", str(tmp_path / "recipe.yaml"), "--workers", "1", "--quiet"]) == 0
    workspace = Workspace(f"{tmp_path}/w")

    def rows(dataset: str) -> list[dict]:
        return [row for part in workspace.parts(dataset) for row in workspace.table(part).to_pylist()]

    kept: dict[str, list[str]] = {}
    for row in rows("dataset"):
        kept.setdefault(row["kind"], []).append(row["content"])
    assert kept.pop("lhq") == [f"{TEST} Ask {MAIL} on host {HOST}.\n{KEY}"] * 3, "nothing is taken out"
    assert kept.pop("openwebmath") == [f"Euler wrote to <EMAIL> on host {HOST}."] * 2, "an address of a machine stays"
    [text] = kept.pop("rewritten")
    assert text.startswith("This function multiplies a width by a height. Ask <EMAIL> on host ") and HOST not in text
    assert len(rows("shards")) == 6 and not kept
    dropped = [row for stage in workspace.last_run().stages for row in rows(f"dropped/{stage.name}")]
    lost = {(row["stage"], row["repo_name"], row["path"], row["reason"]) for row in dropped}
    assert lost == {
        ("release", "open-web-math/open-web-math", "/train/3", "contaminated"),
        ("ingest", "train", "/4", "wrong_type"),
        ("curate", "train", "/3", "no_parent"),
        ("dedup", "train", "/2", "exact_duplicate"),
    }
    capsys.readouterr()
    assert cli.main(["why", PARENT, "--workspace", workspace.root, "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [(f["path"], f["stages"][0]["parent"]) for f in files] == [("/1", PARENT), ("/2", PARENT)], (
        "found by what it was made of"
    )
