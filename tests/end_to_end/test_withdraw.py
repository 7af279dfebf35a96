"""Withdrawing from a real workspace: no byte of it remains, everything else is byte-equal, and an independent script agrees."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pages import ROOT
from small_tree import STDLIB, git, starmill

from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.storage import Storage
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.run import verify
from starmill.trainer.config import load
from starmill.trainer.data.inputs import open_inputs
from starmill.transforms.attribution.attribute import Attributor
from starmill.transforms.attribution.portrait import Portrait

HEAPQ, SCHED = ((STDLIB / f"{name}.py").read_text() for name in ("heapq", "sched"))
GONE = (HEAPQ, SCHED)  # a file of alpha by its SWHID; all of beta, whose other files are copies of alpha's
DERIVED = ("portrait", "fingerprints", "trigrams")
STAYS = (STDLIB / "calendar.py").read_text()


def wishes(place: Path) -> str:
    return f"# who asked\nbeta.git\nswh:1:cnt:{git(place / 'tree', 'hash-object', 'alpha/lib/heapq.py').strip()}\n"


def files(place: Path) -> dict[str, str]:
    """Digests of all files but for those that say how long something took, and a lock."""
    found = (p for p in sorted(place.rglob("*")) if p.is_file() and p.name not in ("timings.json", ".lock"))
    return {p.relative_to(place).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def texts(place: Path) -> bytes:
    """All that stands in the files of a folder: Parquet as values, shards as text and as they lie there, all else as bytes."""
    found = []
    for path in sorted(p for p in place.rglob("*") if p.is_file()):
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            found += [
                str(table.column(name).to_pylist())
                for name in table.column_names
                if not pa.types.is_string(table.schema.field(name).type)
            ]
            found += [
                "\n".join(filter(None, table.column(n).to_pylist()))
                for n in table.column_names
                if pa.types.is_string(table.schema.field(n).type)
            ]
        else:
            found.append(path.read_bytes().decode("latin-1"))
    if (place / "shards").is_dir():
        tokenizer = Tokenizer.load((place / "tokenizer/tokenizer.json").read_bytes())
        found += [tokenizer.decode(s.tokens(d).tolist()) for s in open_shards(str(place)) for d in range(s.documents)]
    return "\n".join(found).encode()


class Killed(BaseException):
    """Ends a command between two files, as SIGKILL does: nothing catches it."""


@pytest.fixture(scope="module")
def before(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `work/`, its portrait, fingerprints and what is published of it, the recipe and a list."""
    place = tmp_path_factory.mktemp("withdraw")
    shutil.copytree(milled / "work", place / "work")
    (place / "tree").symlink_to(milled / "tree", target_is_directory=True)
    recipe = (milled / "recipe.yaml").read_text().replace(f"workspace: {milled}/work", f"workspace: {place}/work")
    (place / "recipe.yaml").write_text(recipe)
    for command in (("portrait",), ("index",), ("index", "--search")):
        starmill(*command[:1], "work", *command[1:], "--workers", "1", "--quiet", cwd=place)
    starmill("publish", "recipe.yaml", "--to", "published", "--quiet", cwd=place)
    (place / "list.txt").write_text(wishes(place))
    return place


@pytest.fixture(scope="module")
def after(before: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after the withdrawal."""
    place = tmp_path_factory.mktemp("withdrawn")
    shutil.copytree(before, place, symlinks=True, dirs_exist_ok=True)
    (place / "recipe.yaml").write_text((before / "recipe.yaml").read_text().replace(str(before), str(place)))
    dry = json.loads(starmill("withdraw", "list.txt", "work", "--dry-run", "--json", cwd=place).stdout)
    assert files(place / "work") == files(before / "work"), "a dry run changes nothing"
    options = ("--published", "published", "--recipe", "recipe.yaml", "--workers", "1", "--quiet", "--json")
    made = json.loads(starmill("withdraw", "list.txt", "work", *options, cwd=place).stdout)
    assert (made["removed"]["records"], made["removed"]["shards"]) == (dry["records"], dry["shards"])
    changed = {f["path"] for f in made["files"] if f["before"] != f["after"] and f["path"].partition("/")[0] not in DERIVED}
    assert changed == {*dry["rewritten"], *dry["removed"]}
    return place


def test_no_byte_of_it_remains_and_all_else_is_as_it_was(before: Path, after: Path) -> None:
    lines = {line for text in GONE for line in text.splitlines() if len(line) > 50}
    others = "".join((STDLIB / f"{n}.py").read_text() for n in ("bisect", "textwrap", "shlex", "queue", "calendar", "gzip"))
    only = [line.encode() for line in sorted(lines) if line not in others]
    for folder in ("work", "published"):
        was, now = texts(before / folder), texts(after / folder)
        assert len(only) > 100 and all(line in was for line in only)
        assert [line for line in only if line in now] == []
        assert all(line.encode() in now for line in STAYS.splitlines() if len(line) > 50)
    was, now = files(before / "work"), files(after / "work")
    attested = json.loads((after / "work/withdrawals/00000.json").read_text())
    changed = {f["path"] for f in attested["files"] if f["before"] != f["after"]}
    books = {path for path in was if path.endswith(".json") and not path.startswith("tokenizer/")}
    assert {path for path in was if now.get(path) != was[path]} - books == changed
    assert {path for path in now if path not in was} == {"withdrawals/00000.json"}
    assert not {path for path in changed if "part-00000." not in path and path.partition("/")[0] not in DERIVED}
    for name in ("records", "measures", "curated", "signatures", "verdicts", "dataset"):
        old, new = (pq.read_table(place / f"work/{name}/part-00000.parquet").to_pylist() for place in (before, after))
        rest = iter(old)
        assert len(new) < len(old) and all(any(row == one for one in rest) for row in new), (
            f"{name}: the same rows in the same order"
        )
    workspace = Workspace(str(after / "work"))
    for text in GONE:
        assert all(span.grams < 3 for span in Portrait(workspace).overlaps(text)), "a chance hit of a Bloom filter, no more"
    assert [s.end - s.start for s in Attributor(workspace)(STAYS).spans] == [len(STAYS.rstrip())]
    found = {f.repo_name for text in GONE for s in Attributor(workspace)(text).spans for f in s.files}
    assert "beta.git" not in found
    hits = [json.loads(starmill("search", "work", "def nlargest", "--json", cwd=place).stdout) for place in (before, after)]
    assert hits[0]["files"] and not hits[1]["files"]


def test_shards_are_what_tokenizing_the_rest_makes(after: Path, tmp_path: Path) -> None:
    shutil.copytree(after / "work", tmp_path / "work")
    shutil.rmtree(tmp_path / "work/shards")
    starmill("tokenize", "recipe.yaml", "--workspace", str(tmp_path / "work"), "--workers", "1", "--quiet", cwd=after)
    made, wanted = (Workspace(str(place / "work")).manifest("shards") for place in (tmp_path, after))
    assert made is not None and wanted is not None
    for one, two in zip(made.parts, wanted.parts, strict=True):
        shards = ({o.path: o.sha256 for o in s.outputs} for s in (one, two))
        assert len({json.dumps(s, sort_keys=True) for s in shards}) == 1
        assert (one.tokens, one.counts, one.key, one.lineage) == (two.tokens, two.counts, two.key, two.lineage)


def test_every_command_takes_the_result(before: Path, after: Path, tmp_path: Path) -> None:
    place = tmp_path / "again"
    shutil.copytree(after / "work", place)
    was = files(place)
    starmill("run", "recipe.yaml", "--workspace", str(place), "--workers", "1", cwd=after)
    assert files(place) == was, "a later run has nothing to make"
    assert verify.compare(Workspace(str(place))).damaged == ()
    assert starmill("status", "--workspace", str(place), cwd=after).stdout.count("complete") == 6
    told = starmill("why", "alpha:lib/heapq.py", "--workspace", str(place), cwd=after).stdout
    assert "dropped by withdraw: withdrawn_swhid" in told and "dataset" not in told
    funnel = json.loads(starmill("funnel", "--workspace", str(place), "--json", cwd=after).stdout)["stages"]
    wanted = json.loads(starmill("funnel", "--workspace", str(before / "work"), "--json", cwd=after).stdout)["stages"]
    for now, then, earlier in zip(funnel, wanted, [None, *funnel], strict=False):
        assert earlier is None or now["in"]["files"] == earlier["kept"]["files"]
        assert (now["in"] == then["in"]) == (earlier is None)
    options = load("tiny", [f"workspace={place}", f"output={tmp_path / 'model'}"])
    assert sum(s.documents for s in open_inputs(options).train.units.shards) > 1
    assert starmill("withdraw", "list.txt", str(place), cwd=after).stdout.endswith(
        "nothing of what the list names is here; nothing was changed\n"
    )
    (place / "records/part-00000.json").unlink()
    refused = starmill("run", "recipe.yaml", "--workspace", str(place), "--workers", "1", cwd=after, check=False)
    assert refused.returncode == 2 and "withdrawals/00000.json" in refused.stderr and "curate.opt_out" in refused.stderr


def test_the_attestation_is_verified_with_and_without_starmill(before: Path, after: Path, tmp_path: Path) -> None:
    [script] = re.findall(r"```py\n(.+?)```", (ROOT / "docs/withdraw.md").read_text(), re.DOTALL)
    assert len(script.splitlines()) <= 24 and {*re.findall(r"^(?:import|from) (.+)$", script, re.M)} == {
        "hashlib, json",
        "pathlib import Path",
    }
    attestation = after / "work/withdrawals/00000.json"
    said = attestation.read_text()
    listed = hashlib.sha256((after / "list.txt").read_bytes()).hexdigest()
    assert json.loads(said)["list"] == {"sha256": listed, "wishes": 2} and "beta.git" not in said

    def both(folder: Path) -> bool:
        told = starmill("attest", str(attestation), str(folder), cwd=after, check=False)
        mine = script.replace('"work/withdrawals/00000.json"', repr(str(attestation))).replace(
            'Path("work")', f"Path({str(folder)!r})"
        )
        alone = subprocess.run([sys.executable, "-c", mine], capture_output=True, text=True)
        assert told.returncode == (alone.returncode != 0), f"{told.stdout}{told.stderr}{alone.stderr}"
        return told.returncode == 0

    assert both(after / "work") and both(after / "published")
    assert not both(before / "work") and not both(before / "published")
    for change in ("changed", "lost", "kept"):
        place = tmp_path / change
        shutil.copytree(after / "work", place)
        shard = place / "shards/part-00002.bin"
        if change == "changed":
            shard.write_bytes(bytes([shard.read_bytes()[0] ^ 1]) + shard.read_bytes()[1:])
        elif change == "lost":
            shard.unlink()
        else:
            shutil.copy(before / "work/shards/part-00000.bin", place / "a-copy")
        assert not both(place)
    shutil.copytree(after / "work/shards", tmp_path / "copy/shards")
    alone = starmill("attest", str(attestation), str(tmp_path / "copy"), cwd=after)
    assert "6 files as attested, 3 of them changed" in alone.stdout and "not here, so not compared: records/" in alone.stdout


@pytest.mark.parametrize("at", [5, 18, 27, 40])
def test_what_is_killed_goes_on_and_ends_with_the_same_bytes(
    before: Path, after: Path, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, left = tmp_path / "work", at
    shutil.copytree(before / "work", place)

    def publish(storage: Storage, relative: str, data: bytes | pa.Buffer) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        whole(storage, relative, data)

    whole = Storage.publish
    with monkeypatch.context() as patched:
        patched.setattr(Storage, "publish", publish)
        with suppress(Killed):  # which a graph turns into an error of its own
            assert starmill("withdraw", "list.txt", str(place), "--workers", "1", cwd=after, check=False).returncode
    refused = starmill("run", "recipe.yaml", "--workspace", str(place), "--workers", "1", cwd=after, check=False)
    assert refused.returncode == 2 and "a withdrawal is not finished" in refused.stderr
    (tmp_path / "other.txt").write_text("someone\n")
    refused = starmill("withdraw", str(tmp_path / "other.txt"), str(place), cwd=after, check=False)
    assert refused.returncode == 2 and "the withdrawal of another list" in refused.stderr
    starmill("withdraw", "list.txt", str(place), "--workers", "1", "--quiet", cwd=after)
    now, wanted = files(place), files(after / "work")
    assert now.keys() == wanted.keys() and [p for p in now if now[p] != wanted[p]] == ["withdrawals/00000.json"], (
        "which names what was published"
    )
