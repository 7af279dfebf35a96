"""Tokens to files and back, on shards made by the tokenize step itself; the oracle is the text of each file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from starmill.cli.__main__ import main
from starmill.core import schema, swhid
from starmill.core.dataset import Sidecar, Workspace, output
from starmill.core.errors import InputError, UsageError
from starmill.core.shards import ShardWriter, open_shards
from starmill.core.tokenizer import Tokenizer, train
from starmill.reports.locate import Place, file_lines, lines, locate, of_file
from starmill.transforms.render.code import OF_A_FILE, Format, documents, sentinels
from starmill.transforms.tokenize import tokenize

TEXTS = {
    ("o/one", "/a.py"): "import os\n\n\ndef total(numbers):\n    return sum(numbers)\n",
    ("o/one", "/naïve.py"): "x = 'ünïcødé 漢字 ½'\n" + "".join(f"y{i} = {i}\n" for i in range(20)),
    ("o/two", "/a.py"): "print('\x1b[31mred')\t# tab\n" + "z = 1; " * 30 + "\nlast = True",
    ("o/three", "/deep/c.c"): "int main(void)\n{\n    return 0;\n}\n",
    ("o/three", "/copy/a.py"): "import os\n\n\ndef total(numbers):\n    return sum(numbers)\n",
}


FORMATS = {
    "without names": Format(metadata_rate=0.0),
    "with names": Format(metadata_rate=1.0),
    "file by file": Format(unit="file", file_metadata_rate=0.5),
}


@pytest.fixture(scope="module", params=FORMATS)
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = Workspace(str(tmp_path_factory.mktemp("work")))
    form = FORMATS[request.param]
    data = train(TEXTS.values(), 400, sentinels(form))
    made.publish("tokenizer/tokenizer.json", data)
    tokenizer = Tokenizer.load(data)
    for shard, names in enumerate((["o/one", "o/two"], ["o/three"])):
        writer = ShardWriter(tokenizer.eod)
        block = pa.RecordBatch.from_pylist([row for name in names for row in _rows(name)], schema=schema.DATASET)
        for one in tokenize(documents([block], form), tokenizer):
            writer.add(one.ids, "code", one.document.repo_name, one.document.language, one.files)
        files = {f"shards/part-{shard:05d}.{suffix}": content for suffix, content in writer.finish().items()}
        made.commit(
            Sidecar("tokenize", "shards", shard, "k", tuple(output(n, c) for n, c in files.items())), list(files.values())
        )
    made.finish("shards", "k", 2, "v")
    return made


def _rows(name: str) -> list[dict[str, Any]]:
    return [
        {
            "repo_name": repo,
            "path": path,
            "content": text,
            "content_id": swhid.content_id(text.encode()),
            "language": {"py": "Python", "c": "C"}[path.rpartition(".")[2]],
            "length_bytes": len(text.encode()),
            "redactions": [],
        }
        for (repo, path), text in TEXTS.items()
        if repo == name
    ]


def test_every_token_of_every_file_and_between(workspace: Workspace) -> None:
    tokenizer, nth = Tokenizer.load(workspace.read("tokenizer/tokenizer.json")), 0
    seen: dict[tuple[str, str], list[Place]] = {}
    for shard, reader in enumerate(open_shards(workspace.root)):
        for token in range(int(reader.lengths.sum())):
            place = locate(workspace, f"{shard}:{token}")
            assert place.nth == nth
            if token % 10 == 0:
                same = (locate(workspace, nth=nth), locate(workspace, f"{shard}:{place.document}:{place.document_token}"))
                assert same == (place, place)
            ids = reader.tokens(place.document)
            assert place.ids == (ids[place.document_token],) and place.text == tokenizer.decode(place.ids)
            if place.path is not None:
                seen.setdefault((place.repo_name, place.path), []).append(place)
            nth += 1
    assert set(seen) == set(TEXTS)
    for (repo, path), places in seen.items():
        text = TEXTS[repo, path]
        data = tokenizer.decode_bytes(i for place in places for i in place.ids).decode()
        before = data.removesuffix(text)
        assert data.endswith(text) and (before in ("", f"{path.lstrip('/')}\n") or before.startswith(OF_A_FILE)), before
        assert {p.swhid for p in places} == {f"swh:1:cnt:{swhid.content_id(text.encode())}"}
        assert {(p.file_token, p.file_tokens) for p in places} == {(places[0].token, len(places))}
        assert [p.line for p in places][-1] == text.rstrip("\n").count("\n") + 1
        assert {p.line for p in places} >= {1, text.rstrip("\n").count("\n") + 1}, "lines are counted from that after the path"


def test_the_file_leads_back_to_its_tokens(workspace: Workspace) -> None:
    tokenizer, shards = Tokenizer.load(workspace.read("tokenizer/tokenizer.json")), open_shards(workspace.root)
    for (repo, path), text in TEXTS.items():
        (found,) = of_file(workspace, f"{repo}:{path}")
        tokens = np.concatenate([shards[found.shard].tokens(d) for d in range(shards[found.shard].documents)])
        assert tokenizer.decode(tokens[found.token : found.token + found.count].tolist()).endswith(text)
        same = {f"{one.repo_name}:{one.path}" for one in of_file(workspace, found.swhid)}
        assert same == {f"{r}:{p}" for (r, p), t in TEXTS.items() if t == text}
        assert f"tokens {found.token:,} to {found.token + found.count - 1:,}" in file_lines([found])[1]
    both = of_file(workspace, "./a.py")
    assert [one.repo_name for one in both] == ["o/one", "o/two"]
    (one,) = of_file(workspace, f"{both[0].swhid};origin=https://github.com/o/three")
    assert (one.repo_name, one.path, one.language) == ("o/three", "/copy/a.py", "Python")


def test_a_text_is_found_across_tokens_and_shards(workspace: Workspace) -> None:
    for text, repo, path, line in (
        ("def total(numb", "o/one", "/a.py", 4),
        ("漢字", "o/one", "/naïve.py", 1),
        ("return 0;", "o/three", "/deep/c.c", 3),
        ("y19 = 1", "o/one", "/naïve.py", 21),
    ):
        place = locate(workspace, text=text)
        assert text in place.text and (place.repo_name, place.path, place.line) == (repo, path, line)
        if place.count > 1:
            assert text not in Tokenizer.load(workspace.read("tokenizer/tokenizer.json")).decode(place.ids[1:])
    with pytest.raises(InputError, match="'nowhere at all': not in the"):
        locate(workspace, text="nowhere at all")


def test_the_lines_around(workspace: Workspace) -> None:
    shown = lines(locate(workspace, text="sum(numbers)"))
    assert "  repository  o/one" in shown and any("/a.py, line 5 (Python)" in line for line in shown)
    here = next(i for i, line in enumerate(shown) if "⟦" in line)
    assert [line.strip() for line in shown[here - 1 : here]] == ["4  def total(numbers):"]
    assert shown[here].lstrip().startswith("5      return") and "⟧" in shown[here]
    assert max(map(len, lines(locate(workspace, text="z = 1; z")))) < 120, "a long line is cut around the token"
    red = lines(locate(workspace, text="red"))
    assert not any("\x1b" in line for line in red) and any("\ufffd[3" in line for line in red)


def test_a_drawn_token(workspace: Workspace) -> None:
    drawn = [locate(workspace, seed=seed).nth for seed in range(40)]
    assert drawn[0] == locate(workspace).nth and max(drawn.count(one) for one in drawn) < 4
    assert {locate(workspace, nth=one).shard for one in drawn} == {0, 1}


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ("7:0", "7: no shard of .*; it has 2, 0 to 1"),
        ("7:0:0", "7: no shard of"),
        ("0:99999999", "shard 0 has the tokens 0 to "),
        ("0:5:0", "0:5:0: shard 0 has [23] documents"),
        ("0:0:99999999", "must be in one of them"),
        ("x", "x: not a position"),
    ],
)
def test_no_such_token(workspace: Workspace, position: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        locate(workspace, position)


def test_no_such_thing(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/none\.py: no token of"):
        of_file(workspace, "/none.py")
    with pytest.raises(UsageError, match="shards know contents only"):
        of_file(workspace, "swh:1:dir:" + "a" * 40)
    for number in (-1, 10**9):
        with pytest.raises(UsageError, match=f"--nth {number}: "):
            locate(workspace, nth=number)
    with pytest.raises(InputError, match="run `starmill run` first"):
        locate(Workspace(str(tmp_path)))


def test_the_command(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> str:
        assert main(["locate", *arguments, "--workspace", workspace.root]) == 0
        return capsys.readouterr().out

    place = locate(workspace, nth=17)
    assert run("--nth", "17") == "\n".join(lines(place)) + "\n"
    assert json.loads(run("--nth", "17", "--json")) == json.loads(json.dumps(asdict(place)))
    assert run("deep/c.c") == "\n".join(file_lines(of_file(workspace, "/deep/c.c"))) + "\n"
