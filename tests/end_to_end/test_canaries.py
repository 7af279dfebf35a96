"""Canaries: secrets in texts, paths, repositories, authors and messages of a dump are in no file of a finished run that was cleaned. There
is one of each kind that a rule or a model finds.

Before it is cleaned, only the datasets from before redaction have them; a later run makes these again, and nothing after them.
"""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import small_tagger
from small_tree import STDLIB, commit, say

from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer

MAIL, HOST = "jane.canary" + "@corp-bird.io", "93.184." + "216.34"
KEY = "AKIA" + "QWERTYUIOPASDFGH"
PASSWORD, LOGIN = "t7Kq-9xWv" + "2Lp", "canary-bird7"  # that rules find
TAGGED = ("Marion Weber", "hunter", "gizmo")  # what small_tagger knows: a name, a password and a user name
BEFORE = {"records", "measures", "curated", "signatures", "verdicts", "dropped", "plans"}
SECRETS = (MAIL, HOST, KEY, PASSWORD, LOGIN, *TAGGED)


@pytest.fixture(scope="module")
def milled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("canaries")
    code = {name: (STDLIB / f"{name}.py").read_text() for name in ("bisect", "queue", "sched", "heapq", "textwrap", "shelve")}
    tree = place / "tree"
    files = {
        f"contact-{MAIL}.py": f"# by {MAIL}\n{code['bisect']}",
        f"{KEY}/a.py": f"aws_key = '{KEY}'\nserver = 'http://{HOST}:80/'\n{code['queue']}",
        f"hosts/{HOST}.py": code["sched"],
        f"{MAIL}.bin": "\0\1\2" * 400,  # dropped by ingest, by its name alone
        f"near-{MAIL}.py": code["textwrap"],
        "people.py": f"# Copyright Marion Weber, with thanks to @{LOGIN}\nlogin = 'gizmo'\npassword = 'hunter'\n"
        f"url = 'postgres://app:{PASSWORD}@db/x'\ndb_password = '{PASSWORD}'\n{code['shelve']}",
        "near.py": code["textwrap"].replace("import re\n", f"import re  # {MAIL}\n", 1),
        "plain.py": code["heapq"],
    }
    commit(tree / MAIL / "x", files, f"Reported by {MAIL} at http://{HOST}/ with {KEY} in the log of the server")
    changed = {"plain.py": code["heapq"].replace("heap", "pile")}
    commit(tree / MAIL / "x", changed, f"Rename the heap to a pile, as {MAIL} asked for it in mail")
    roots = {"roots": [str(tree)]}
    small_tagger.make(place / "tagger")
    model = {"model": str(place / "tagger"), "model_device": "cpu", "usernames": True, "mentions": True}
    recipe = {
        "release": {"redact": model},
        "workspace": str(place / "work"),
        "sources": {"files": {"kind": "folders", **roots}, "history": {"kind": "commits", **roots}},
        "tokenizer": {"vocab_size": 512, "sample_bytes": 200000},
    }
    (place / "recipe.yaml").write_text(json.dumps(recipe))
    status, printed = say("run", str(place / "recipe.yaml"), "--workers", "1", "--quiet")
    assert status == 0, printed
    assert not any(secret in printed for secret in SECRETS), "nor does a run print them"
    return place


def everything(place: Path) -> Iterator[tuple[str, bytes]]:
    """Yield all that the files below a folder hold: names, bytes, what is compressed, the values of tables, the texts of shards."""
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        yield name, name.encode()
        if path.is_file():
            data = path.read_bytes()
            yield name, data
            if path.suffix == ".parquet":
                yield name, repr(pq.read_table(path).to_pylist()).encode()
            if data[:2] == b"\x1f\x8b":
                yield name, gzip.decompress(data)
    if (place / "shards").is_dir():
        tokenizer = Tokenizer.load(place / "tokenizer/tokenizer.json")
        for shard in open_shards(str(place)):
            for document in range(shard.documents):
                yield "shards", tokenizer.decode(shard.tokens(document)).encode()


def holders(place: Path) -> set[str]:
    return {name.split("/")[0] for name, data in everything(place) if any(secret.encode() in data for secret in SECRETS)}


def test_all_that_was_found_is_recorded_and_how_sure_that_was(milled: Path) -> None:
    rows = [row for part in (milled / "work/dataset").glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    spans = [span for row in rows for span in row["redactions"]]
    assert {(s["kind"], s["detector"]) for s in spans} >= {
        ("EMAIL", "emails"),
        ("IP_ADDRESS", "ip_addresses"),
        ("KEY", "keys"),
        ("USERNAME", "mentions"),
        ("NAME", "model"),
        ("PASSWORD", "model"),
        ("USERNAME", "model"),
    }
    assert all(0 < s["score"] <= 1 and (s["score"] == 1 or s["detector"] == "model") for s in spans)
    assert all(len(row["content"]) >= s["end"] > s["start"] for row in rows for s in row["redactions"])


def digests(place: Path) -> dict[str, str]:
    work = Workspace(str(place))
    return {d: m.digest for d in ("records", "dataset", "shards") if (m := work.manifest(d))}


def test_secrets_are_nowhere_in_a_workspace_that_was_cleaned(milled: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(milled / "work", work)
    held = holders(work)
    assert {"records", "curated"} <= held <= BEFORE, "the canaries are there at first, and only before redaction"
    before = digests(work)
    status, told = say("clean", str(work), "--dry-run", "--json")
    planned = json.loads(told)
    assert status == 0 and not planned["done"] and planned["bytes"] > 1000 and (work / "records/part-00000.parquet").exists()
    status, told = say("clean", str(work))
    assert (
        status == 0
        and "records/     removed 4 files" in told  # two parts, and their hashes
        and "A later `starmill run` makes ingest, measure, curate, dedup again" in told
    )
    assert not any(secret in told for secret in SECRETS)
    assert holders(work) == set()
    assert digests(work) == before, "manifests stay"
    assert "nothing from before redaction is left" in say("clean", str(work))[1]
    status, told = say("status", "--workspace", str(work))
    assert "ingest    2/2 parts, complete, cleaned" in told and "release   2/2 parts, complete\n" in told
    status, told = say("why", "plain.py", "--workspace", str(work))
    assert status == 0 and "(cleaned=True" in told and "  tokenize  kept in shards/" in told, told
    status, told = say("why", "near.py", "--workspace", str(work))
    assert status == 0 and "near_duplicate" in told and "no diff: the text of" in told
    made = {p: p.stat().st_mtime_ns for d in ("dataset", "shards") for p in (work / d).iterdir()}
    status, told = say("run", str(milled / "recipe.yaml"), "--workspace", str(work), "--workers", "1", "--quiet")
    assert status == 0 and digests(work) == before
    assert {
        p: p.stat().st_mtime_ns for d in ("dataset", "shards") for p in (work / d).iterdir() if p.name != "manifest.json"
    } == {p: when for p, when in made.items() if p.name != "manifest.json"}, "nothing after redaction is made again"


def test_what_is_not_finished_is_not_cleaned(milled: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(milled / "work", work)
    (work / "shards/manifest.json").unlink()
    status, told = say("clean", str(work))
    assert status == 2 and "stage tokenize is not finished" in told and (work / "records/part-00000.parquet").exists()
    (work / "stages.json").unlink()
    status, told = say("clean", str(work))
    assert status == 1 and "no run has begun here" in told
    assert say("clean", str(tmp_path / "none"))[0] == 1 and not (tmp_path / "none").exists()
