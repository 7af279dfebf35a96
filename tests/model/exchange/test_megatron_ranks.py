"""Ranks are found and put together; a pickle runs nothing; what is missing or broken is named."""

import argparse
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from starmill.model.exchange.megatron_ranks import MegatronError, read_ranks


def write(folder: Path, values: dict[str, torch.Tensor], **more: object) -> Path:
    folder.mkdir(parents=True)
    model = {"language_model": {"encoder": values, "embedding": {"word_embeddings": {"weight": torch.ones(2)}}}}
    args = argparse.Namespace(hidden_size=8)
    torch.save({"args": args, "model": model, "checkpoint_version": 3.0} | more, folder / "model_optim_rng.pt")
    return folder / "model_optim_rng.pt"


def test_ranks_by_stage_and_width(tmp_path: Path) -> None:
    for stage in range(2):
        for rank in range(3):
            write(
                tmp_path / f"iter_0000007/mp_rank_{rank:02}_{stage:03}",
                {"attention.x": torch.full((1, 2), 10.0 * stage + rank)},
            )
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("7\n")
    for place in (tmp_path, tmp_path / "iter_0000007"):
        ranks = read_ranks(place)
        assert ranks.version == 3.0 and ranks.arguments == {"hidden_size": 8}
        assert ranks.joined(1, "attention.x", 0).tolist() == [[10, 10], [11, 11], [12, 12]]
        assert ranks.joined(0, "attention.x", 1).tolist() == [[0, 0, 1, 1, 2, 2]]
        assert ranks.joined(1, "attention.x", None).tolist() == [[10, 10]]
        assert ranks.part(0, 2, "word_embeddings.weight").tolist() == [1, 1]
        with pytest.raises(MegatronError, match="stage 1, tensor rank 2 has no y"):
            ranks.part(-1, 2, "y")


class Harm:
    """A pickle that would write a file."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


@pytest.mark.parametrize("function", [exec, eval, os.system, os.mkdir, random.seed, Path.touch])
def test_a_pickle_runs_nothing(function: Callable[..., object], tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    argument = {exec: f"open({str(harm)!r}, 'w')", eval: f"open({str(harm)!r}, 'w')", os.system: f"touch {harm}"}
    write(tmp_path / "mp_rank_00", {"x": torch.ones(1)}, harm=Harm(function, argument.get(function, harm)))
    state = random.getstate()
    try:
        assert read_ranks(tmp_path).part(0, 0, "x").tolist() == [1]
    except MegatronError as error:  # torch refuses some modules outright
        assert "not readable" in str(error)
    assert not harm.exists() and random.getstate() == state


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(MegatronError, match=r"0 folders mp_rank_\*"):
        read_ranks(tmp_path)
    files = [write(tmp_path / f"mp_rank_{rank:02}", {"x": torch.ones(1)}) for rank in range(2)]
    torch.save({"weights": 1}, files[1])
    with pytest.raises(MegatronError, match="no model and args"):
        read_ranks(tmp_path)
    torch.save({"args": argparse.Namespace(), "model": {}}, files[1])
    with pytest.raises(MegatronError, match="no language_model"):
        read_ranks(tmp_path)
    files[1].write_bytes(b"PK broken")
    with pytest.raises(MegatronError, match=r"mp_rank_01/model_optim_rng\.pt: not readable"):
        read_ranks(tmp_path)
    files[1].unlink()
    with pytest.raises(MegatronError, match=r"neither model_optim_rng\.pt nor"):
        read_ranks(tmp_path)
    files[1].parent.rmdir()
    write(tmp_path / "mp_rank_02", {"x": torch.ones(1)})
    with pytest.raises(MegatronError, match="2 folders mp_rank_\\* for 1 x 3 ranks"):
        read_ranks(tmp_path)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("../../x")
    with pytest.raises(MegatronError, match="neither a number nor release"):
        read_ranks(tmp_path)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("release")
    with pytest.raises(MegatronError, match="release: no such folder"):
        read_ranks(tmp_path)


def test_what_would_fill_the_memory_or_never_end_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "mp_rank_00"
    file = write(place, {"x": torch.zeros(1).expand(2_000_000_000, 2_000_000_000)})
    with pytest.raises(
        MegatronError, match=r"x' has the shape \(2000000000, 2000000000\), for which the file has too few bytes"
    ):
        read_ranks(tmp_path)
    endless: dict[str, object] = {}
    endless["again"] = endless
    torch.save({"args": argparse.Namespace(), "model": {"language_model": endless}}, file)
    with pytest.raises(MegatronError, match="nested without end"):
        read_ranks(tmp_path)
    torch.save({"args": argparse.Namespace(), "model": {"language_model": {}}, "checkpoint_version": "x"}, file)
    with pytest.raises(MegatronError, match="checkpoint_version='x': no number"):
        read_ranks(tmp_path)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data.pkl", bytes(100 << 20))
    with pytest.raises(MegatronError, match=r"not readable \(ValueError: compressed"):
        read_ranks(tmp_path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(MegatronError, match="neither model_optim_rng"):
        read_ranks(tmp_path)
    for number in ("9" * 999, "\u0662", "../x"):
        (tmp_path / "latest_checkpointed_iteration.txt").write_text(number)
        with pytest.raises(MegatronError, match="neither a number nor release"):
            read_ranks(tmp_path)
