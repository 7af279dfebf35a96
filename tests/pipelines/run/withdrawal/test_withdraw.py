"""Shards alone: what may be withdrawn from them, where nothing is changed, and several withdrawals one after the other."""

import json
import shutil
from pathlib import Path

import pytest
from small_workspace import CODES, build

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, UsageError
from starmill.core.shards import open_shards
from starmill.pipelines.run.withdrawal.withdraw import changes, read, spans, withdraw, workspace_of
from starmill.pipelines.runners import choose
from starmill.reports.attest import attest
from starmill.reports.attest import read as attestation


def listed(place: Path, *lines: str) -> str:
    place.write_text("".join(f"{line}\n" for line in lines))
    return str(place)


def test_two_withdrawals_from_shards_alone(tmp_path: Path) -> None:
    build(tmp_path / "w")
    workspace = workspace_of(Workspace(str(tmp_path / "w/shards")))
    assert workspace.root == str(tmp_path / "w") and workspace_of(workspace) == workspace
    first, second = (read(listed(tmp_path / f"{n}.txt", *lines)) for n, lines in (("1", ("repo3", "repo4")), ("2", ("repo5",))))
    table = open_shards(workspace.url)[0].table
    assert spans(workspace, first) == {(0, d): [(1, table["token_count"][d].as_py() - 1)] for d in (3, 4)}
    made = [withdraw(workspace, one, choose((), 1)) for one in (first, second)]
    assert [one and one["removed"]["shards"]["documents"] for one in made] == [2, 1]
    assert [one and one["attestation"] for one in made] == ["withdrawals/00000.json", "withdrawals/00001.json"]
    (shard,) = open_shards(workspace.url)
    assert shard.table["repo_name"].to_pylist() == [f"repo{i}" for i in range(len(CODES)) if i not in (3, 4, 5)]
    wrong, right = (attest(attestation(workspace.read(f"withdrawals/0000{n}.json"), ""), workspace).wrong for n in (0, 1))
    assert len(wrong) == 3 and right == (), "the earlier one is of the shards before the later one"
    assert withdraw(workspace, first, choose((), 1)) is None and [*changes(workspace, second)] == []
    assert not workspace.exists("withdrawal/plan.json") and workspace.below("withdrawal") == []

    everything = read(listed(tmp_path / "3.txt", *(f"repo{i}" for i in range(len(CODES)))))
    last = withdraw(workspace, everything, choose((), 1))
    assert last is not None and open_shards(workspace.url) == []
    assert [f["path"] for f in last["files"] if f["after"] is None] == [
        f"shards/part-00000.{s}" for s in ("bin", "docs.parquet", "idx")
    ]
    assert attest(attestation(json.dumps(last).encode(), ""), workspace).wrong == ()


def test_what_cannot_be_withdrawn(tmp_path: Path) -> None:
    build(tmp_path / "w")
    workspace = Workspace(str(tmp_path / "w"))
    for wish in ("github:17", f"swh:1:rev:{1:040x}"):
        with pytest.raises(UsageError, match=f"{wish}: shards alone do not know what it names"):
            withdraw(workspace, read(listed(tmp_path / "l", wish, "repo3")), choose((), 1))
    with pytest.raises(InputError, match=r"no dataset and no shards; give the workspace"):
        withdraw(Workspace(str(tmp_path / "none")), read(listed(tmp_path / "l", "repo3")), choose((), 1))
    with pytest.raises(InputError, match=r"l, line 2: .*not understood"):
        read(listed(tmp_path / "l", "repo3", "what is this"))
    shutil.copytree(tmp_path / "w", tmp_path / "half")
    (tmp_path / "half/shards/manifest.json").unlink()
    with pytest.raises(UsageError, match=r"no manifest, so its stage is not complete"):
        withdraw(Workspace(str(tmp_path / "half")), read(listed(tmp_path / "l", "repo3")), choose((), 1))
    (tmp_path / "w/tokenizer/tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError):
        withdraw(workspace, read(listed(tmp_path / "l", "repo3")), choose((), 1))
    assert not workspace.exists("withdrawal/plan.json")
