"""What is put comes back, from any process; a folder that is removed leaves nothing open, and what is gone or cut is no block."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core.dataset import Workspace
from starmill.transforms import spill
from starmill.transforms.beam import block_from_ipc, pack


def test_blocks_come_back_in_other_processes_too(tmp_path: Path) -> None:
    folder = str(tmp_path / "some folder")
    blocks = [pa.record_batch({"file": pa.array(range(n), pa.int64())}) for n in (0, 1, 5000)]
    sent = [spill.put(folder, pack(block)) for block in blocks]
    assert [block_from_ipc(spill.get(one)) for one in sent] == blocks and max(map(len, sent)) < 700
    read = "import sys; from starmill.transforms import spill; sys.stdout.buffer.write(spill.get(sys.stdin.buffer.read()))"
    there = subprocess.run([sys.executable, "-c", read], input=sent[2], capture_output=True, check=True).stdout
    assert there == pack(blocks[2])
    assert not pack(blocks[0]).startswith(spill.MARK), "a block is no note"


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    folder = str(tmp_path / "spill")
    note = spill.put(folder, bytes(1000))
    [file] = (tmp_path / "spill").iterdir()
    file.write_bytes(bytes(999))
    with pytest.raises(OSError, match="ends in the middle"):
        spill.get(note)
    spill.remove(folder)
    assert not Path(folder).exists() and before in (0, len(os.listdir("/proc/self/fd")))
    with pytest.raises(FileNotFoundError):
        spill.get(note)
    spill.remove(folder)


class Owner:
    pass


def test_a_folder_goes_with_its_owner(tmp_path: Path) -> None:
    workspace, owner = Workspace(str(tmp_path)), Owner()
    (tmp_path / spill.FOLDER / "of a killed run").mkdir(parents=True)
    folder = spill.begun(workspace, owner)
    note = spill.put(folder, bytes(1000))
    assert os.listdir(tmp_path / spill.FOLDER) == [os.path.basename(folder)] and spill.get(note) == bytes(1000)
    del owner
    gc.collect()
    assert not os.listdir(tmp_path)
    spill.put(spill.begun(workspace, kept := Owner()), bytes(1000))
    spill.ended(kept)
    spill.ended(kept)
    assert not os.listdir(tmp_path), "at its end, however long its owner lives"
    bucket, other = Workspace("memory://spill"), Owner()
    assert not spill.begun(bucket, other).startswith("memory")
