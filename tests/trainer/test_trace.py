"""A step's files are those of the batch that it trained on, made again from the start; other shards are refused."""

import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from small_tree import starmill
from small_workspace import CODES, RECIPE, build

from starmill.core import recipe
from starmill.core.errors import InputError
from starmill.trainer.config import TrainRecipe, load
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.loop import train
from starmill.trainer.reading import Mixture, Phase
from starmill.trainer.trace import reads, trace


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trace")
    build(place / "w")
    values = {**RECIPE, "steps": 8, "checkpoint_every": 3, "workspace": str(place / "w"), "output": str(place / "model")}
    assert train(recipe.build(TrainRecipe, values)) == 0
    return place / "model"


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_step_is_traced_to_its_files(output: Path, step: int) -> None:
    corpus = open_inputs(load(str(output), [])).train
    batch = next(islice(corpus.batches(), step - 1, None))  # from the start, without a note
    told = json.loads(starmill("trace", str(output), "--step", str(step), "--json", "--raw", cwd=output).stdout)
    assert [row["files"] for row in told["read"]] == [corpus.units.named(unit) for unit in batch.units]
    assert sum(row["tokens"] for row in told["read"]) == batch.tokens.size
    assert told["read"][0]["files"][0].startswith("repo") and " swh:1:cnt:" in told["read"][0]["files"][0]


def test_a_step_of_a_ramp_and_a_later_mixture_is_traced(output: Path, tmp_path: Path) -> None:
    options = load(str(output), ["data.ramp=[[300, 2]]", "data.micro_batch=1"], output=str(tmp_path / "model"))
    later = Phase(6, Mixture(caps={"Python": 250.0}))
    options = replace(options, data=replace(options.data, phases=(later,)))
    assert train(options) == 0
    whole = open_inputs(options).train.batches()
    read = [[next(whole) for _ in range(2 if step <= 6 else 4)] for step in range(1, 9)]
    named = open_inputs(options).train.units.named
    for step in (3, 5, 6, 8):
        rows = trace(load(str(tmp_path / "model"), []), step)
        assert [row.files for row in rows] == [tuple(named(unit)) for batch in read[step - 1] for unit in batch.units]


def test_no_such_step_and_other_shards(output: Path, tmp_path: Path) -> None:
    wrong = starmill("trace", str(output), "--step", "9", cwd=output, check=False)
    assert wrong.returncode == 2 and "--step 9: the training has steps 1 to 8" in wrong.stderr
    build(tmp_path / "others", codes=CODES[:20])
    with pytest.raises(InputError, match=r"its shards are not those that .* was trained on"):
        trace(load(str(output), [], str(tmp_path / "others")), 1)
    shutil.copytree(output, tmp_path / "copy")
    (tmp_path / "copy/starts.jsonl").unlink()
    with pytest.raises(InputError, match=r"no starts\.jsonl"):
        trace(load(str(tmp_path / "copy"), []), 1)


def test_a_token_of_a_batch_is_located_and_a_file_leads_to_its_steps(output: Path) -> None:
    options = load(str(output), [])
    batches = list(islice(open_inputs(options).train.batches(), options.steps))
    spans, tokenizer = list(reads(options)), open_inputs(options).tokenizer
    for span in spans:  # all tokens of all windows, in order and once
        window = batches[span.step - 1].tokens[span.lane]
        shard = open_inputs(options).train.units.shards[span.shard] if span.step == 1 else None
        if shard is not None and not span.moved:
            assert shard.tokens(span.document)[span.start : span.end].tolist() == window[span.first : span.last].tolist()
    for step in range(1, options.steps + 1):
        for lane in range(options.data.batch):
            here = [(s.first, s.last) for s in spans if (s.step, s.lane) == (step, lane)]
            assert [0, *(last for _, last in here)] == [*(first for first, _ in here), options.data.sequence_length + 1]
    assert any(s.moved for s in spans) and any(not s.moved for s in spans)
    assert {span for span in spans if span.step == 7} == {*reads(options, 7)}, "from a note as from the start"

    plain = next(s for s in spans if s.step == 5 and not s.moved and s.last - s.first > 2)
    named = ("--training", str(output), "--json")
    told = json.loads(starmill("locate", f"5:{plain.lane}:{plain.first + 1}", *named, cwd=output).stdout)
    assert told["ids"] == [int(batches[4].tokens[plain.lane][plain.first + 1])] and not told["moved"]
    assert (told["step"], told["shard"], told["document_token"]) == (5, plain.shard, plain.start + 1)
    moved = next(s for s in spans if s.moved)
    told = json.loads(starmill("locate", f"{moved.step}:{moved.lane}:{moved.first}", *named, cwd=output).stdout)
    assert told["moved"] and told["document"] == moved.document and tokenizer.decode(told["ids"])
    assert "fill in the middle" in starmill("locate", f"{moved.step}:{moved.lane}:{moved.first}", *named[:2], cwd=output).stdout

    told = json.loads(starmill("locate", f"{moved.document:040x}", *named, cwd=output).stdout)
    read = {(s.step, s.lane) for s in spans if s.document == moved.document and (s.moved or s.end > 1)}
    assert {(one["step"], one["lane"]) for one in told["steps"]} == read and told["files"][0]["document"] == moved.document


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (("99:0:0",), "the training has steps 1 to 8"),
        (("1:77:0",), "1:77:0: step 1 has the lanes 0 to 3"),
        (("1:0:33",), "of tokens 0 to 32 each"),
        (("1:0",), "1:0: of a training a token is step:lane:token"),
        ((), "--training: give step:lane:token"),
    ],
)
def test_no_such_token_of_a_training(output: Path, what: tuple[str, ...], said: str) -> None:
    wrong = starmill("locate", *what, "--training", str(output), cwd=output, check=False)
    assert wrong.returncode == 2 and said in wrong.stderr


def test_the_steps_that_read_what_is_withdrawn(output: Path, tmp_path: Path) -> None:
    options, repositories = load(str(output), []), {3, 11}
    table = open_inputs(options).train.units.shards[0].table
    assert [table["repo_name"][d].as_py() for d in sorted(repositories)] == ["repo3", "repo11"]
    read: dict[tuple[int, int], int] = {}
    for span in reads(options):
        if span.document in repositories:
            (file,) = table["files"][span.document].as_py()
            shared = min(span.end, file["token_start"] + file["token_count"]) - max(span.start, file["token_start"])
            count = span.last - span.first if span.moved else shared
            if count > 0:
                read[span.step, span.lane] = read.get((span.step, span.lane), 0) + count
    (tmp_path / "list.txt").write_text(f"repo3\nswh:1:cnt:{11:040x}\n")
    said = json.loads(starmill("trace", str(output), "--withdrawn", "list.txt", "--json", cwd=tmp_path).stdout)
    assert len(read) > 2 and {(s["step"], s["lane"]): s["tokens"] for s in said["steps"]} == read
    told = starmill("trace", str(output), "--withdrawn", "list.txt", cwd=tmp_path).stdout
    assert f"{len({step for step, _ in read})} steps read tokens of it" in told
    both = starmill("trace", str(output), "--withdrawn", "list.txt", "--step", "1", cwd=tmp_path, check=False)
    assert both.returncode == 2 and "give --step or --withdrawn" in both.stderr

    # The attestation has them, and a training takes what is left; the finished one is not traced over other shards.
    shutil.copytree(Path(options.workspace), tmp_path / "w")
    made = starmill("withdraw", "list.txt", "w", "--training", str(output), "--json", "--quiet", cwd=tmp_path)
    attested = json.loads(made.stdout)
    assert attested["trainings"] == [{"output": "model", **said}] and attested["removed"]["shards"]["documents"] == 2
    left = json.loads((tmp_path / "w/withdrawals/00000.json").read_text())
    assert left == attested and starmill("attest", "w/withdrawals/00000.json", "w", cwd=tmp_path).returncode == 0
    with pytest.raises(InputError, match=r"its shards are not those that"):
        trace(load(str(output), [], str(tmp_path / "w")), 1)
    again = load(str(output), ["steps=4"], str(tmp_path / "w"), str(tmp_path / "again"))
    assert train(again) == 0 and open_inputs(again).train.units.shards[0].documents == len(CODES) - 2
