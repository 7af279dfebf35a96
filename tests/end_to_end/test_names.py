"""Names from a dump: personal data in them is in no document and no view, and nothing in them controls a terminal."""

import inspect
import json
import os
import shutil
import unicodedata
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_tree import STDLIB, commit, say

from starmill.cli import __main__ as cli
from starmill.cli import look
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer

MAIL, HOST = "jane.doe" + "@corp.io", "93.184." + "216.34"
KEY, TOKEN = "AKIA" + "QWERTYUIOPASDFGH", "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"
SECRETS = (MAIL, HOST, KEY, TOKEN)
ATTACK = "\x1b]0;owned\x07\r\x9b31m\u202etxt"  # a terminal's title, a bell, an overwritten line, a colour, and a turned name
REPOSITORY, PLAIN = "[red]x[/red]", "[bold]"
MARKUP = ("[/]", "[link=file:///etc/passwd]y", ":skull:")
STAGES = ("ingest", "measure", "curate", "dedup", "release", "tokenize")


@pytest.fixture(scope="module")
def milled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tree/`, `recipe.yaml` and the workspace `work/` that was made of it, and what the run printed in `printed`."""
    place = tmp_path_factory.mktemp("names")
    code = {name: (STDLIB / f"{name}.py").read_text() for name in ("bisect", "queue", "sched", "heapq", "shlex", "textwrap")}
    plain, tree = place / "tree" / PLAIN, place / "tree"
    names = {
        f"contact-{MAIL}.py": f"# {MAIL}\n{code['bisect']}",
        f"keys/aws_{KEY}.py": code["queue"],
        f"{TOKEN}/hosts/{HOST}.py": code["sched"],
        "plain.py": code["heapq"],
    }
    commit(tree / MAIL / "x", names)
    commit(tree / REPOSITORY, {"a.py": "a = 1\n"})
    for file in (*MARKUP, f"{ATTACK}.py"):
        (plain / file).parent.mkdir(parents=True, exist_ok=True)
        (plain / file).write_text(code["shlex"])
    (plain / "near-a.py").write_text(code["textwrap"])
    (plain / "near-b.py").write_text(code["textwrap"].replace("import re\n", f"import re  # [/] [red] {ATTACK} {MAIL}\n", 1))
    (plain / "link").symlink_to(f"{ATTACK}\n[/] {MAIL}")
    with open(os.fsencode(plain) + b"/\xff\xed\xa0\x80.py", "w") as file:
        file.write("x = 1\n")
    (tree / f"esc{ATTACK}").mkdir()
    (tree / f"esc{ATTACK}" / "a.py").write_text("a = 1\n")
    recipe = (
        f"workspace: {place / 'work'}\nsources: {{input: {{kind: folders, roots: ['{tree}']}}}}\n"
        "tokenizer: {vocab_size: 512, sample_bytes: 200000}\nformat: {metadata_rate: 1}\n"
    )
    (place / "recipe.yaml").write_text(recipe)
    status, printed = say("run", str(place / "recipe.yaml"), "--workers", "1")
    assert status == 0, printed
    (place / "printed").write_text(printed)
    return place


def documents(work: Path) -> str:
    tokenizer = Tokenizer.load(work / "tokenizer/tokenizer.json")
    return "\n".join(tokenizer.decode(shard.tokens(i)) for shard in open_shards(str(work)) for i in range(shard.documents))


def test_no_document_and_no_published_file_has_them(milled: Path) -> None:
    text = documents(milled / "work")
    assert "<repo_name><EMAIL>/x<file_sep>" in text and "<file_sep><EMAIL>.py\n# <EMAIL>\n" in text
    assert "<file_sep>keys/aws_<KEY>.py\n" in text and "<file_sep>plain.py\n" in text
    assert "<file_sep><KEY>/hosts/172.16." in text or "<file_sep><KEY>/hosts/192.168." in text
    tables = [pq.read_table(f).to_pylist() for d in ("dataset", "shards") for f in (milled / "work" / d).glob("*.parquet")]
    for secret in SECRETS:
        assert secret not in text and secret not in str(tables), secret
    tokenizer = Tokenizer.load(milled / "work/tokenizer/tokenizer.json")
    shards = open_shards(str(milled / "work"))
    ids = [int(i) for shard in shards for document in range(shard.documents) for i in shard.tokens(document)]
    assert ids.count(tokenizer.special("<EMAIL>")) == text.count("<EMAIL>") >= 3, "sentinels, not text"


def test_two_names_stay_two(milled: Path) -> None:
    raw, published = (
        {(r["repo_name"], r["path"]) for f in (milled / "work" / d).glob("*.parquet") for r in pq.read_table(f).to_pylist()}
        for d in ("curated", "dataset")
    )
    assert len(published) == len({r for r in raw if MAIL in r[0]}) + len({r for r in published if "EMAIL" not in r[0]})


def test_why_and_locate_find_a_record_by_each_of_its_names(milled: Path) -> None:
    place = ("--workspace", str(milled / "work"))
    name = f"{MAIL}/x:/contact-{MAIL}.py"
    status, shown = say("why", name, *place)
    assert status == 0 and MAIL not in shown and "tokenize  kept in shards/part-00000.bin (document=" in shown
    masked = shown.split("  swh:1:cnt:")[0]
    swhid = shown.split()[1]
    assert masked.startswith("<EMAIL-") and masked.endswith(">.py")
    for query in (masked, masked.partition(":")[2], f"/contact-{MAIL}.py", swhid):
        assert say("why", query, *place) == (0, shown), query
    raw = say("why", masked, "--raw", *place)[1]
    assert raw.startswith(f"{name}  {swhid}") and raw.splitlines()[1:] == shown.splitlines()[1:]
    for query in (name, masked, swhid):
        status, told = say("locate", query, *place)
        assert (status, told.splitlines()[0]) == (0, f"{masked}  {swhid}"), query
    status, told = say("why", f"/contact-{MAIL}.pyx", *place)
    assert status == 1 and f"the nearest are {masked}" in told and MAIL not in told.split("the nearest")[1]
    assert name in say("why", f"/contact-{MAIL}.pyx", "--raw", *place)[1]
    lost = say("why", f"{PLAIN}:/link", *place)[1]
    assert "symlink" in lost and MAIL not in lost and MAIL in say("why", f"{PLAIN}:/link", "--raw", *place)[1]
    near = say("why", f"{PLAIN}:/near-b.py", *place)[1]
    assert "near_duplicate" in near and "+import re  # [/] [red] " in near and MAIL not in near


def controls(text: str) -> set[str]:
    return {c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}


def hostile_copy(milled: Path) -> Path:
    """The workspace with escapes and marks in every text of its books: stage names, reasons, languages, paths."""
    work = milled / "hostile"
    shutil.copytree(milled / "work", work)
    for book in [*work.glob("*/manifest.json"), work / "stages.json"]:
        values = json.loads(book.read_text())
        for stage in values.get("stages", ()):
            stage["name"] += f"{ATTACK}[/]"
        for part in values.get("parts") or () if isinstance(values.get("parts"), list) else ():
            for count in part["counts"]:
                count |= {"step": ATTACK, "reason": f"{ATTACK}{REPOSITORY}[/]", "language": f"[/]{ATTACK}"}
        book.write_text(json.dumps(values))
    (work / "dataset/part-00000.json").write_text(json.dumps({"format": f"1{ATTACK}"}))
    return work


def test_nothing_controls_the_terminal(milled: Path) -> None:
    printed = (milled / "printed").read_text()
    assert not controls(printed)
    recipe, hostile = str(milled / "recipe.yaml"), str(hostile_copy(milled))
    (milled / "bad.yaml").write_text('workspace: w\n"minhash\\u001b[31m[/]": {threshold: "\\u009b[/]"}\n')
    files = [f"{PLAIN}:/near-b.py", "/link", f"{REPOSITORY}:/a.py", f"{PLAIN}:/[/]", f"no{ATTACK}[/]such"]
    lines = []
    for command, function in cli.commands(look):
        takes_a_file = {"file", "what"} & {*inspect.signature(function).parameters}
        for place in (str(milled / "work"), hostile):
            lines += [[command, *file, "--workspace", place] for file in ([[f] for f in files] if takes_a_file else [[]])]
    lines += [[stage, recipe, "--dry-run", "--workers", "1"] for stage in STAGES]
    lines += [
        ["run", str(milled / "bad.yaml"), "--dry-run"],
        ["plan", "tiny", "--workspace", hostile, "--set", f"name={ATTACK}"],
    ]
    lines += [["funnel", "--recipe", str(milled / "bad.yaml")], ["run", recipe, "--set", f"minhash.threshold={ATTACK}[/]"]]
    (milled / "twice.yaml").write_text(
        f"workspace: {milled / 'twice'}\nsources:\n"
        + "".join(f"  {name}: {{kind: folders, roots: ['{milled / 'tree'}'], include: ['jane*']}}\n" for name in ("one", "two"))
    )
    (milled / "model").mkdir()
    (milled / "model/config.json").write_text(json.dumps({"model_type": f"{ATTACK}[/]"}))
    lines += [["run", str(milled / "twice.yaml"), "--dry-run"], ["complete", str(milled / "model"), "--prompt", "x"]]
    seen = ""
    for line in lines:
        for more in ([], ["--json"], ["--raw"], ["--traceback"])[: 2 if line[0] in STAGES else 4]:
            status, printed = say(*line, *more)
            seen += printed
            assert not controls(printed), (line, more)
            assert more == ["--raw"] or not [s for s in SECRETS if s in printed], (line, more)
            if more == ["--json"] and status == 0:
                json.loads(printed)
    for mark in (REPOSITORY, "[/]", "[red]", "\\x1b]0;owned\\x07"):
        assert mark in seen, f"{mark} is shown as it is"
