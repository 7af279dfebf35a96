"""Checkpoints are whole or not there, belong to one recipe and one set of data, and run nothing when they are read."""

import errno
import os
import pickle
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from starmill.core.errors import MachineError
from starmill.trainer import checkpoint
from starmill.trainer.checkpoint import CheckpointError, Checkpoints, Meta
from starmill.trainer.config import AdamW
from starmill.trainer.data.corpus import Position
from starmill.trainer.optim import Optimizer
from starmill.trainer.parallel import Ranks

ALONE = Ranks(torch.device("cpu"))


def meta(step: int) -> Meta:
    return Meta(step, (Position(1, 2, 3), Position(0, step, 0)), "recipe", "data")


def trained(steps: int) -> tuple[torch.nn.Linear, Optimizer]:
    torch.manual_seed(1)
    linear = torch.nn.Linear(3, 2)
    adam = Optimizer(linear, AdamW(lr=1e-2, min_lr=0, warmup_steps=0))
    for _ in range(steps):
        step(linear, adam)
    return linear, adam


def step(linear: torch.nn.Linear, adam: Optimizer) -> None:
    linear(torch.arange(3.0)).square().sum().backward()
    adam.step()
    adam.zero_grad()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_loaded_one_goes_on_bit_for_bit(tmp_path: Path, asynchronous: bool) -> None:
    kept = Checkpoints(tmp_path, ALONE, 2, asynchronous)
    linear, adam = trained(5)
    kept.save(meta(5), checkpoint.state(linear, adam, 5))
    step(linear, adam)  # while a thread may be writing: it has a copy
    kept.finish()
    found = kept.newest()
    assert found is not None and found[1] == meta(5)
    other, others_adam = trained(0)
    checkpoint.load(found[0], checkpoint.state(other, others_adam, 5), ALONE)
    step(other, others_adam)
    assert all(torch.equal(a, b) for a, b in zip(linear.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", bytes(90), b"[]", b"null", b"[" * 100_000, b'{"step": "x"}', '{"step": %s}' % ("9" * 5000)]
)
def test_a_damaged_one_counts_as_absent_and_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], data: bytes | str
) -> None:
    kept = Checkpoints(tmp_path, ALONE, keep=3)
    for n in (5, 10, 15):
        kept.save(meta(n), {"model.w": torch.tensor([n])})
    (tmp_path / "step-00000015/meta.json").write_bytes(data if isinstance(data, bytes) else data.encode())
    (tmp_path / "step-00000010/meta.json").write_bytes((tmp_path / "step-00000005/meta.json").read_bytes())
    assert kept.newest() == (tmp_path / "step-00000005", meta(5))
    said = capfd.readouterr().err
    assert all(f"{tmp_path}/step-000000{n}/meta.json: damaged (" in said for n in (10, 15)) and len(said) < 2000
    kept.save(meta(10), {"model.w": torch.tensor([10])})
    assert kept.newest() == (tmp_path / "step-00000010", meta(10))


def test_milestones_stay(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, ALONE, keep=1, milestones=10)
    for n in range(5, 40, 5):
        kept.save(meta(n), {"model.w": torch.tensor([n])})
    assert [path.name for path in checkpoint.whole(tmp_path)] == [f"step-{n:08d}" for n in (10, 20, 30, 35)]
    assert kept.newest() == (tmp_path / "step-00000035", meta(35))


def saved(folder: Path, *steps: int) -> Checkpoints:
    kept = Checkpoints(folder, ALONE, keep=3)
    for n in steps:
        kept.save(meta(n), {"model.w": torch.full((64,), float(n))})
    return kept


def test_a_flipped_bit_leads_to_the_one_before(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kept = saved(tmp_path, 5, 10)
    (weights,) = (tmp_path / "step-00000010").glob("*.safetensors")
    data = bytearray(weights.read_bytes())
    data[-100] ^= 1  # of a number: the file is still one of tensors
    weights.write_bytes(data)
    assert kept.newest() == (tmp_path / "step-00000005", meta(5))
    assert f"{weights}: damaged (its sha256 is not that in meta.json)" in capfd.readouterr().err
    for one in (tmp_path / "step-00000005").glob("*.safetensors"):
        one.unlink()
    with pytest.raises(
        CheckpointError, match=r"each of its 2 checkpoints is damaged; bring one back from a copy, or .*--fresh"
    ):
        kept.newest()


def test_trouble_of_the_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = saved(tmp_path, 5, 10)

    def broken(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(checkpoint, "_sha256", broken)  # no disk fails when it is asked to
    with pytest.raises(MachineError, match=r"step-00000010/.*: Input/output error; see to the disk"):
        kept.newest()


def test_other_folders_are_the_user_s(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = ["step-00000001-mine", "step-backup", "step-9", ".tmp-notes", "step-000000010"]
    first = saved(tmp_path, 1)
    for name in mine:
        shutil.copytree(tmp_path / "step-00000001", tmp_path / name)
    for n in (2, 3, 4, 5):
        first.save(meta(n), {"model.w": torch.zeros(1)})
    assert first.newest() == (tmp_path / "step-00000005", meta(5))
    assert {p.name for p in tmp_path.iterdir()} == {*mine, *(f"step-0000000{n}" for n in (3, 4, 5))}
    assert not capfd.readouterr().err


def test_names_of_files_are_never_paths(tmp_path: Path) -> None:
    kept, outside = saved(tmp_path / "kept", 5), tmp_path / "outside"
    os.mkfifo(outside)  # who opens it waits for ever
    place = tmp_path / "kept/step-00000005/meta.json"
    place.write_text(place.read_text().replace('"files": {', '"files": {"../../outside": "0", '))
    with pytest.raises(CheckpointError, match="damaged"):
        kept.newest()


def test_one_training_a_folder(tmp_path: Path) -> None:
    held = (
        "import sys; from pathlib import Path; import torch; from starmill.trainer import checkpoint; "
        "from starmill.trainer.parallel import Ranks\n"
        "with checkpoint.alone(Path(sys.argv[1]), Ranks(torch.device('cpu'))): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", held, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    said = rf"another training writes to it \(process {other.pid} of .* another --output"
    with pytest.raises(CheckpointError, match=said), checkpoint.alone(tmp_path, ALONE):
        pass
    other.kill()
    other.communicate()
    with checkpoint.alone(tmp_path, ALONE):
        pass


def test_how_many_stay(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, ALONE, keep=2)
    for n in (5, 10, 100):
        kept.save(meta(n), {"model.w": torch.tensor([n])})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]
    found = kept.newest()
    assert found is not None and found[1] == meta(100)
    into = {"model.w": torch.tensor([0])}
    checkpoint.load(found[0], into, ALONE)
    assert into["model.w"].tolist() == [100]
    kept.clear()
    assert kept.newest() is None


def test_a_half_written_one_is_not_there(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none", ALONE, 2).newest() is None
    kept = Checkpoints(tmp_path, ALONE, 2)
    kept.save(meta(5), {"model.w": torch.zeros(1)})
    (tmp_path / ".tmp-step-00000010").mkdir()
    (tmp_path / ".tmp-step-00000010/half.safetensors").write_bytes(b"half")
    found = kept.newest()
    assert found is not None and found[1].step == 5
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000005"]


RANK = """
import sys
from pathlib import Path
from starmill.trainer import parallel
from starmill.trainer.checkpoint import Checkpoints
with parallel.joined("cpu", 1) as ranks:
    path, meta = Checkpoints(Path(sys.argv[1 + ranks.rank]), ranks, 2).newest()
    print(path.parent.name, meta.step)
"""


@pytest.mark.slow
def test_ranks_that_see_different_lists_take_the_first_one_s(tmp_path: Path) -> None:
    for name, steps in (("seen", (5, 10)), ("stale", (5,))):
        kept = Checkpoints(tmp_path / name, ALONE, 2)
        for n in steps:
            kept.save(meta(n), {"model.w": torch.zeros(1)})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    call = [sys.executable, "-c", RANK, str(tmp_path / "seen"), str(tmp_path / "stale")]
    started = [
        subprocess.Popen(call, env={**os.environ, **here, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    assert [process.communicate(timeout=100)[0] for process in started] == ["seen 10\n"] * 2


def test_of_another_run(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="another recipe; the fix"):
        checkpoint.check(tmp_path, meta(5), "other", "data", "the fix")
    with pytest.raises(CheckpointError, match="another data"):
        checkpoint.check(tmp_path, meta(5), "recipe", "other", "the fix")
    checkpoint.check(tmp_path, meta(5), "recipe", "data", "the fix")


def test_damage_is_named_and_nothing_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (tmp_path / "run").touch, ()

    kept = Checkpoints(tmp_path, ALONE, 2)
    kept.save(meta(5), {"model.w": torch.zeros(1)})
    path = tmp_path / "step-00000005"
    (weights,) = path.glob("*.safetensors")
    assert {p.name for p in path.iterdir()} == {"meta.json", weights.name}, "no pickle among them"
    for damage in (weights.read_bytes()[:-1], pickle.dumps(Evil())):
        weights.write_bytes(damage)
        with pytest.raises(CheckpointError, match=r"step-00000005: could not be read .*remove it"):
            checkpoint.load(path, {"model.w": torch.zeros(1)}, ALONE)
    assert not (tmp_path / "run").exists()
    weights.unlink()
    with pytest.raises(CheckpointError, match="could not be read"):
        checkpoint.load(path, {"model.w": torch.zeros(1)}, ALONE)
