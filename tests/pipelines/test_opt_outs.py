"""Lists that a recipe names: read once, refused by file and line, counted by the stage and told by its key."""

import gzip
from pathlib import Path

import pytest
from ingested_workspace import ingested

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, NotThere
from starmill.core.recipe import RecipeError
from starmill.pipelines.kinds import KINDS, Curate
from starmill.pipelines.opt_outs import OptOutList, read
from starmill.pipelines.recipe import build
from starmill.pipelines.run import keys
from starmill.pipelines.run.method import method
from starmill.pipelines.run.stages import publish_stages, run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import STAGES, load
from starmill.reports import datacard, funnel
from starmill.transforms.decide.optout import OptOut

# Table 3 of StarCoder2's paper, and what it has no row of: commits (StarCoder), text that a model made of code, documented functions.
LISTED = {"code", "notebook", "notebook_script", "issue", "pull_request", "commit", "rewritten", "seed"}


def listed(place: Path, *lines: str) -> Curate:
    place.write_text("\n".join(lines))
    return Curate(opt_out=(OptOutList(str(place), "2026-11-20"),))


def test_the_kinds_of_peoples_code_ask_the_lists_first(tmp_path: Path) -> None:
    curate = listed(tmp_path / "list.txt", "someone")
    asked = {name: [s for s in kind.decide(curate) if isinstance(s, OptOut)] for name, kind in KINDS.items()}
    assert {name for name, steps in asked.items() if steps} == LISTED
    assert all(KINDS[name].decide(curate)[0] == steps[0] for name, steps in asked.items() if steps)
    ways = {name: steps[0].records for name, steps in asked.items() if steps and steps[0].records != "files"}
    assert ways == {"issue": "threads", "pull_request": "threads", "commit": "commits"}
    assert not any(isinstance(s, OptOut) for kind in KINDS.values() for s in kind.decide(Curate())), "no list, no step"


def test_another_list_gives_another_key_and_its_place_does_not(tmp_path: Path) -> None:
    one, same, other = (
        keys.said(listed(tmp_path / name, *lines).opted_out()[0])
        for name, lines in (("a.txt", ["someone"]), ("b.txt", ["someone"]), ("c.txt", ["someone", "# a remark"]))
    )
    assert one == same != other


def test_files_may_be_packed_and_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "list.jsonl.gz").write_bytes(gzip.compress(b'\xef\xbb\xbf{"someone": ["all"]}\r\nother/thing\r\n'))
    step = read((OptOutList(str(tmp_path / "list.jsonl.gz"), "2026-11-20"),))
    assert step.named.owners == ("someone",) and step.named.repositories == ("other/thing",) and step.lists[0].wishes == 2


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    place = tmp_path / "list.txt"
    with pytest.raises(NotThere, match=r"curate\.opt_out: .*list\.txt: no such file"):
        read((OptOutList(str(place), "2026-11-20"),))
    place.write_bytes(b"fine\nl\xe4tin\n")
    with pytest.raises(InputError, match=r"list\.txt, line 2: .*not UTF-8"):
        read((OptOutList(str(place), "2026-11-20"),))
    with pytest.raises(InputError, match=r"curate\.opt_out: .*list\.txt, line 2: 'two words'"):
        listed(place, "fine", "two words").opted_out()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"someone\n" * 1000)[:-9])
    with pytest.raises(InputError, match=r"cut\.gz: EOFError: .*fetch it again"):
        read((OptOutList(str(tmp_path / "cut.gz"), "2026-11-20"),))
    with pytest.raises(InputError, match="names nothing"):
        listed(place, "# nobody").opted_out()


def test_the_funnel_counts_them_and_the_card_tells_the_date(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("someone/thing#1\n")
    lists = [{"list": str(tmp_path / "list.txt"), "date": "2023-11-20"}]
    options = build({"workspace": str(tmp_path / "w"), "curate": {"opt_out": lists}})
    workspace = Workspace(options.workspace)
    ingested(workspace, (("Someone/Thing", "/issues/1", "a b\n"), ("Someone/Thing", "/issues/2", "c d\n")), ("issue", "issue"))
    workspace.finish("records", "k", 1, "v")
    publish_stages(workspace, 1)
    until = ("curated", "dataset")
    for name in STAGES[1 : [load(n).dataset for n in STAGES].index(until[1]) + 1]:
        run_stage(name, options, choose(()), quiet=True)
    dropped = [d for stage in funnel.data(workspace)["stages"] if stage["folder"] == until[0] for d in stage["dropped"]]
    assert {"step": "opt_out", "reason": "opted_out_thread", "files": 1, "bytes": 4} in dropped
    [row] = [r for r in workspace.table("dropped/curate/part-00000.parquet").to_pylist() if r["step"] == "opt_out"]
    assert (row["path"], row["detail"]) == ("/issues/1", "lists of 2023-11-20")
    card = datacard.text(workspace, datacard.facts(workspace, "card"), method(options, workspace))
    assert "- list of 2023-11-20 with 1 wishes" in card and "someone" not in card.lower()


def test_a_recipe_names_lists_with_their_dates(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("someone\n")
    lists = [{"list": str(tmp_path / "list.txt"), "date": "2023-11-20"}]
    recipe = build({"workspace": "w", "curate": {"opt_out": lists}})
    assert recipe.of("code").curate.opted_out()[0].told()["opted_out"][0].startswith("list of 2023-11-20 with 1 wishes")
    with pytest.raises(RecipeError, match=r"date: expected a date such as 2026-11-27, got '20/11/2023'"):
        build({"workspace": "w", "curate": {"opt_out": [{**lists[0], "date": "20/11/2023"}]}})
