"""The model's process: one for all who ask, the same answers whoever asks, restarted when killed, gone when nobody is there."""

import functools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import psutil
import pyarrow as pa
import pytest
import small_tagger

from starmill.core.errors import InputError, MachineError, NotThere, UsageError
from starmill.transforms.clean.redact import Redact, tagging

TEXTS = ["# Author: Jane Doe\n", "x = 1", "password = hunter, by Marion Weber"]
WANTED = [[("Jane Doe", "NAME")], [], [("hunter", "PASSWORD"), ("Marion Weber", "NAME")]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = small_tagger.make(tmp_path_factory.mktemp("tagger"))
    # Other tests of this machine have a model of the same bytes, whose process would be this one's.
    with tempfile.TemporaryDirectory(prefix="starmill-tagging-", dir="/tmp") as own, pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", own)
        patched.setenv("TMPDIR", own)
        yield str(place)
        forget()
        for child in children(str(place)):
            child.kill()


def forget() -> None:
    for connection in tagging._own.__dict__.pop("connections", {}).values():
        connection.close()


def children(folder: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if tagging.CHILD in line and folder in line and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def asked(folder: str, texts: list[str] = TEXTS) -> list[list[tuple[str, str]]]:
    told = tagging.spans(tagging.Model(folder, "cpu"), texts)
    return [[(text[start:end], kind) for start, end, kind, _ in one] for text, one in zip(texts, told, strict=True)]


def test_one_process_answers_all_who_ask(folder: str) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(asked(folder))) for _ in range(3)]
    for thread in threads:
        thread.start()
    code = (
        f"from starmill.transforms.clean.redact import tagging as t; print(len(t.spans(t.Model({folder!r}, 'cpu'), {TEXTS})))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "3\n"
    for thread in threads:
        thread.join()
    assert found == [WANTED] * 3
    assert len(children(folder)) == 1


def test_a_killed_process_is_started_again(folder: str) -> None:
    assert asked(folder) == WANTED
    [child] = children(folder)
    child.kill()
    psutil.wait_procs([child], timeout=10)
    assert asked(folder) == WANTED
    assert len(children(folder)) == 1


def test_a_stopped_process_is_ended_and_started_again(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(folder) == WANTED
    [child] = children(folder)
    child.suspend()
    monkeypatch.setattr(tagging, "STALLED", 0.2)
    assert asked(folder) == WANTED
    [other] = children(folder)
    assert other.pid != child.pid


def test_what_is_said_of_a_text_does_not_say_where_the_model_lies(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a detail in `dropped/`, whose bytes are the same on each machine."""
    monkeypatch.setattr(tagging, "_ask", lambda model, request: {"error": "ValueError: bad", "machine": False})
    with pytest.raises(tagging.TaggingFailed, match=r"^ValueError: bad$"):
        tagging.spans(tagging.Model(folder), ["a"])
    monkeypatch.setattr(tagging, "_ask", lambda model, request: {"error": "no memory", "machine": True})
    with pytest.raises(MachineError, match=f"^{folder}: no memory$"):
        tagging.spans(tagging.Model(folder), ["a"])


def test_answers_do_not_depend_on_batches(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "BATCH", 20)
    assert asked(folder) == WANTED and asked(folder, TEXTS[::-1]) == WANTED[::-1]
    assert asked(folder, []) == []


def test_a_model_that_does_not_start_is_trouble_of_the_machine(folder: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MachineError, match=r"does not start: .*tokenizer.json are needed"):
        tagging.spans(tagging.Model(str(tmp_path), "cpu"), ["a"])


def test_the_digest_is_that_of_the_files(folder: str, tmp_path: Path) -> None:
    before = tagging.digest(folder)
    assert before == tagging.digest(folder) and len(before) == 64
    for file in Path(folder).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert tagging.digest(str(tmp_path)) == before, "wherever it lies"
    (tmp_path / "config.json").write_bytes((tmp_path / "config.json").read_bytes() + b"\n")
    assert tagging.digest(str(tmp_path)) != before
    with pytest.raises(InputError, match="no config"):
        os.mkdir(tmp_path / "empty")
        tagging.digest(str(tmp_path / "empty"))


def test_what_is_no_folder_and_no_name_is_refused(tmp_path: Path) -> None:
    for place in ("nowhere", "../x/y", "/no/such/folder", "a/b/c"):
        with pytest.raises(NotThere, match="no such folder"):
            tagging.folder(place)


def test_a_revision_of_the_hub(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two revisions in the Hub's own cache, without a network: another one gives another digest, and so another key."""
    cache = tmp_path / "models--owner--name"
    for commit in ("a" * 40, "b" * 40):
        (cache / "snapshots" / commit).mkdir(parents=True)
        (cache / "snapshots" / commit / "config.json").write_text(commit)
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", functools.partial(huggingface_hub.snapshot_download, cache_dir=tmp_path)
    )
    newest, older = tagging.folder("owner/name"), tagging.folder("owner/name", "b" * 40)
    assert (newest.name, older.name) == ("a" * 40, "b" * 40)
    made = [Redact(model="owner/name", model_revision=commit).material() for commit in (None, "a" * 40, "b" * 40)]
    assert made[0] == made[1] != made[2]
    with pytest.raises(UsageError, match="a folder has no revision"):
        tagging.folder(folder, "main")


def test_redaction_with_a_model(folder: str) -> None:
    step = Redact(model=folder, model_device="cpu")
    text = "é Author: Jane Doe <jane@corp.io>\npassword = hunter\nuser gizmo\nJane\n"
    done, spans = step.redact(text, "file")
    assert done == "é Author: <NAME> <<EMAIL>>\npassword = <PASSWORD>\nuser gizmo\nJane\n"
    assert [done[s["start"] : s["end"]] for s in spans] == ["<NAME>", "<EMAIL>", "<PASSWORD>"]
    assert step.redact(done, "file") == (done, []), "twice changes nothing more"
    assert Redact(model=folder, model_device="cpu", names=False, usernames=True).redact(text, "file")[0] == (
        "é Author: Jane Doe <<EMAIL>>\npassword = <PASSWORD>\nuser <USERNAME>\nJane\n"
    )


def test_blocks_and_rows_change_nothing(folder: str) -> None:
    step = Redact(model=folder, model_device="cpu")
    texts = [*TEXTS, "é by Jane Doe\n" * 300, "secret: hunter, hunter", "user gizmo of Marion Weber"]
    alone = [step.redact(text, "f") for text in texts]
    columns = {"content": texts, "content_id": ["f"] * len(texts), "length_bytes": [len(text.encode()) for text in texts]}
    block = step(pa.record_batch(columns))
    assert block.column("content").to_pylist() == [text for text, _ in alone]
    assert block.column("redactions").to_pylist() == [spans for _, spans in alone]
    turned = step(pa.record_batch({name: column[::-1] for name, column in columns.items()}))
    assert turned.column("content").to_pylist() == [text for text, _ in alone][::-1]


def test_what_a_key_counts(folder: str) -> None:
    from starmill.pipelines.run import keys

    plain, asks = Redact(), Redact(model=folder)
    assert plain.material() == () and asks.material() == (tagging.digest(folder),)
    assert keys.modules_of([plain]) == [Redact.__module__]
    assert keys.modules_of([asks]) == sorted([Redact.__module__, tagging.CHILD])
    files = {file.name for file in keys.closure(*keys.modules_of([asks]))[0]}
    assert {"tagger.py", "encoder.py", "attention.py"} <= files
    assert Redact(model=folder, names=False, passwords=False).material() == (), "nothing is asked of it"


def test_a_worker_finds_the_model_from_another_folder(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.chdir(Path(folder).parent)
    step = Redact(model=Path(folder).name)
    data = pickle.dumps(step)
    monkeypatch.chdir("/")
    assert pickle.loads(data).model == folder


@pytest.mark.slow
def test_it_leaves_when_nobody_is_connected(folder: str) -> None:
    asked(folder)
    [child] = children(folder)
    address = next(Path(word) for word in child.cmdline() if word.endswith(".socket"))
    assert address.exists()
    forget()
    gone, _ = psutil.wait_procs([child], timeout=40)
    assert gone or child.status() == psutil.STATUS_ZOMBIE
    assert not address.exists()
    assert asked(folder) == WANTED


def test_ctrl_c_in_a_workers_terminal_does_not_reach_the_model(folder: str) -> None:
    asked(folder)
    [child] = children(folder)
    assert os.getpgid(child.pid) != os.getpgid(0)
