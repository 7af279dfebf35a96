"""Near duplicates of a text in a workspace: exact similarities are brute force's, estimates datasketch's over our own signatures."""

import random
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import released_workspace
from curated_workspace import fill, row
from datasketch import LeanMinHash

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.errors import InputError, UsageError
from starmill.transforms.attribution.near import near
from starmill.transforms.dedup.minhash import MinHash, signatures

WORDS = [f"word{n}" for n in range(400)]


def text(seed: int, changed: int = 0) -> str:
    words = random.Random(seed).choices(WORDS, k=300)
    for at in random.Random(seed + 1000).sample(range(300), changed):
        words[at] = f"other{at}"
    return " ".join(words)


def shingled(content: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", content)
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


FILES = {f"/f{seed}-{changed}.py": text(seed, changed) for seed in range(3) for changed in (0, 2, 6, 30)} | {
    "/short.py": "x = 1"
}
DROPPED = "/f0-2.py"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace(str(tmp_path_factory.mktemp("near")))
    rows = [row("one/lib", path, content) for path, content in FILES.items()]
    parts = [rows[:6], rows[6:]]
    fill(made, parts)
    for number, some in enumerate(parts):
        verdicts = ParquetPart(schema.VERDICTS)
        verdicts.write(pa.RecordBatch.from_pylist([{"keep": one["path"] != DROPPED} for one in some], schema=schema.VERDICTS))
        data = verdicts.close()
        made.commit(
            Sidecar("dedup", "verdicts", number, "k", (output(part_path("verdicts", number), data, len(some)),)), [data]
        )
    made.finish("verdicts", "k", 2, "v")
    kept = [
        [released_workspace.row("one/lib", r["path"], r["content"]) for r in some if r["path"] not in (DROPPED, "/f1-6.py")]
        for some in parts
    ]
    released_workspace.build(made.root, kept)
    return made


def test_similarities_are_those_of_brute_force_and_of_datasketch(workspace: Workspace) -> None:
    asked = text(1)
    found = near(workspace, asked, most=3)
    assert [one.path for one in found] == ["/f1-0.py", "/f1-2.py", "/f1-6.py"] and found[0].estimate == found[0].jaccard == 1.0
    both = signatures(pa.array([asked, *(FILES[one.path] for one in found)]), MinHash())
    mine, *theirs = (LeanMinHash(seed=1, hashvalues=np.frombuffer(one.as_py(), "<u4"), scheme="legacy") for one in both)
    for one, other in zip(found, theirs, strict=True):
        a, b = shingled(asked), shingled(FILES[one.path])
        assert one.estimate == mine.jaccard(other)
        assert one.jaccard == (len(a & b) / len(a | b) if one.path != "/f1-6.py" else None), "whose text left the release"
        assert (one.repo_name, one.language) == ("one/lib", "Python") and one.swhid.startswith("swh:1:cnt:")


def test_what_was_dropped_or_is_unlike_is_not_named(workspace: Workspace) -> None:
    assert [one.path for one in near(workspace, text(0))] == ["/f0-0.py", "/f0-6.py"]
    assert {one.path for one in near(workspace, text(0), least=0.1)} == {"/f0-0.py", "/f0-6.py", "/f0-30.py"}
    assert near(workspace, text(77)) == []


def test_what_cannot_be_asked(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fewer than 5 words"):
        near(workspace, "x = 1")
    with pytest.raises(InputError, match="starmill run"):
        near(Workspace(str(tmp_path)), text(0))
