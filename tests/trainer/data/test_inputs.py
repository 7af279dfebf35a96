"""What a run reads: training and held-out repositories apart, the second without FIM, and a word for what is missing."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.core.errors import InputError, UsageError
from starmill.core.shards import ShardError
from starmill.core.storage import Storage
from starmill.trainer import plan
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.inputs import open_inputs


def test_a_workspace(tmp_path: Path) -> None:
    build(tmp_path)
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(tmp_path), "output": "o"})
    found = open_inputs(options)
    assert found.config.vocab_size == found.tokenizer.vocab_size
    assert len(found.train.units) + len(found.held_out.units) == 30 and len(found.held_out.units)
    assert (found.train.options.fim.rate, found.held_out.options.fim.rate) == (0.5, 0.0)
    assert open_inputs(options).digest == found.digest


def test_a_workspace_in_a_bucket_gives_the_same_batches(tmp_path: Path) -> None:
    url, place = "memory://inputs", build(tmp_path / "work")
    for path in place.rglob("*.*"):
        Storage(url).publish(str(path.relative_to(place)), path.read_bytes())
    local, remote = (
        recipe.build(TrainRecipe, {**RECIPE, "workspace": where, "output": "o", "cache": str(tmp_path / "cache")})
        for where in (str(place), url)
    )
    assert local.identity() == remote.identity()
    here, there = open_inputs(local), open_inputs(remote)
    assert there.digest == here.digest and there.tokenizer.sha256 == here.tokenizer.sha256
    assert not [*(tmp_path / "cache").rglob("part-*.bin")]
    there.fetch_ahead((), tokens=1, rank=0, ranks=1)
    for one, other in zip(itertools.islice(here.train.batches(), 9), there.train.batches(), strict=False):
        assert np.array_equal(one.tokens, other.tokens) and one.following == other.following
    assert len([*(tmp_path / "cache").rglob("part-*.bin")]) == 1


def test_no_workspace(tmp_path: Path) -> None:
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(tmp_path / "none"), "output": "o"})
    with pytest.raises(ShardError, match="run `starmill run` first"):
        open_inputs(options)


def test_a_misspelled_kind_is_refused_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    build(tmp_path)

    def options(*sets: str) -> TrainRecipe:
        values = recipe.override({**RECIPE, "workspace": str(tmp_path), "output": "o"}, sets)
        return recipe.build(TrainRecipe, values)

    for wrong, said in [
        ("data.mixture.kinds.codes=2", r"data\.mixture\.kinds\.codes: no such kind in these shards; did you mean 'code'\?"),
        ("data.fim.kinds.codes.rate=0.5", r"data\.fim\.kinds\.codes: no such kind .* 'code'"),
    ]:
        with pytest.raises(UsageError, match=said):
            open_inputs(options(wrong))
    told = options("data.fim.kinds.notebook.rate=0.1")
    assert any("not in these shards: kind notebook" in line for line in plan.data_lines(told, open_inputs(told)))


def test_a_token_that_the_tokenizer_has_not_names_its_shard(tmp_path: Path) -> None:
    build(tmp_path)
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(tmp_path), "output": "o"})
    found = open_inputs(options)
    place = tmp_path / "shards/part-00000.bin"
    tokens = np.frombuffer(place.read_bytes(), "<u2").copy()
    tokens[1] = 60_000
    place.write_bytes(tokens.tobytes())
    for shard in found.train.units.shards:
        shard._digests.clear()  # a shard whose own manifest says so, made with another tokenizer
    with pytest.raises(
        InputError, match=r"part-00000\.bin: document 0 has the token 60000, and the workspace's tokenizer only"
    ):
        for number in range(len(found.train.units)):
            found.train.ids(number, 0)
        for number in range(len(found.held_out.units)):
            found.held_out.ids(number, 0)


def test_sets_of_ones_own(tmp_path: Path) -> None:
    build(tmp_path / "w")
    build(tmp_path / "same")
    build(tmp_path / "other", ["completely_different = 1\n"] * 9)
    values = {**RECIPE, "workspace": str(tmp_path / "w"), "output": "o"}
    plain = recipe.build(TrainRecipe, values)

    def having(place: str) -> TrainRecipe:
        data = {**RECIPE["data"], "held_out_sets": {"mine": str(tmp_path / place)}}
        return recipe.build(TrainRecipe, {**values, "data": data})

    found = open_inputs(having("same"))
    assert len(found.sets["mine"].units) == 30 and having("same").identity() == plain.identity()
    assert found.digest == open_inputs(plain).digest and found.sets["mine"].options.fim.rate == 0.0  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"data.held_out_sets.mine: .* has another tokenizer"):
        open_inputs(having("other"))
