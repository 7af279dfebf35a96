"""Asks the child process that holds a tagger or another encoder: one for all workers of a machine, as torch is in none of them.

The first worker that needs the child starts it, under a lock, and others find its socket in a folder of the user's own; its name holds the
digest of the weights, the device and this installation, so that nobody is answered by another model. The child (model/encoder/serve.py)
leaves when nobody is connected any more. A child that died, or was stopped and does not go on, is started once more; then the part fails.
"""

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from starmill.core import __version__, messages
from starmill.core.errors import InputError, MachineError, NotThere, UsageError, one_line
from starmill.core.shared import private_folder as private_folder

CHILD = "starmill.model.encoder.serve"  # imports torch: it is named here, and never imported
HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}")
FILES = ("config.json", "tokenizer.json", "*.safetensors", "*.safetensors.index.json")
BATCH = 1 << 22  # characters of one request
STALLED = 20.0  # seconds without an answer after which the child's state is looked at: it may compute for as long as it needs
_own = threading.local()


class TaggingFailed(Exception):
    """A text that the model's process raised on."""


class Model(NamedTuple):
    """A model: its folder or its name on the Hugging Face Hub, where it is computed (auto: on a GPU where there is one), how, and of
    which revision (a commit, tag or branch of the Hub).
    """

    place: str
    device: str = "auto"
    precision: str = "float32"
    revision: str | None = None
    task: str = "spans"  # or states: what it is asked for


def folder(place: str, revision: str | None = None) -> Path:
    """Return the folder of a model; one of the Hub's is fetched once per machine. Raises NotThere or MachineError, UsageError for a
    folder with a revision.
    """
    if revision and Path(place).is_dir():
        raise UsageError(f"{place}: a folder has no revision ({revision:.100}); leave out release.redact.model_revision")
    if Path(place).is_dir():
        return Path(place).absolute()
    if not HUB.fullmatch(place) or place.startswith("."):
        raise NotThere(f"{place}: no such folder; give a model's folder, or OWNER/NAME as the Hugging Face Hub has it")
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(place, revision=revision, allow_patterns=list(FILES)))
    except ImportError as error:
        raise MachineError(f"{place}: {error.name} is not installed: pip install huggingface_hub") from None
    except (OSError, ValueError) as error:
        raise MachineError(f"{place}: the Hub does not give it ({one_line(error)}); give a folder") from None


def at_home(place: str) -> str:
    """Return a folder's absolute place; a name of the Hub stays."""
    return str(Path(place).absolute()) if Path(place).is_dir() else place


def digest(place: str, revision: str | None = None) -> str:
    """Return the SHA-256 of all files of a model that decide its answers."""
    there = folder(place, revision)
    files = sorted({file for pattern in FILES for file in there.glob(pattern)})
    if not files:
        raise InputError(f"{there}: no {', '.join(FILES[:3])}; give the folder of a token-classification model")
    looked = [(str(file), *_looks(file.stat())) for file in files]
    return _digest(tuple(looked))


def _looks(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=8)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    made = hashlib.sha256()
    for name, size, _ in files:
        made.update(f"\0{Path(name).name}\0{size}\0".encode())
        with open(name, "rb") as file:
            while piece := file.read(1 << 22):
                made.update(piece)
    return made.hexdigest()


def spans(model: Model, texts: Sequence[str]) -> list[list[tuple[int, int, str, float]]]:
    """Return what the model finds in each text: start and end in characters, kind, score.

    Raises TaggingFailed for a text that the model cannot be asked about, MachineError for a child that does not start, or died twice.
    """
    told = _told(model, texts, {})
    return [[(start, end, kind, score) for start, end, kind, score in one] for one in told]


def states(model: Model, texts: Sequence[str], windows: int) -> list[list[float] | None]:
    """Return the mean state of an encoder over the first `windows` windows of each text; None without a token. Raises as `spans`."""
    return _told(model._replace(task="states"), texts, {"windows": windows})


def _told(model: Model, texts: Sequence[str], more: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    batch: list[str] = []
    for at, text in enumerate(texts):
        batch.append(text)
        if at == len(texts) - 1 or sum(map(len, batch)) >= BATCH:
            answer = _ask(model, {"texts": batch, **more})
            if "error" in answer:
                if answer["machine"]:
                    raise MachineError(f"{model.place}: {answer['error']}")
                raise TaggingFailed(answer["error"])  # goes to `dropped/`, where a folder of this machine is nobody's business
            found += answer[model.task]
            batch = []
    return found


def _ask(model: Model, request: dict[str, Any], tries: int = 2) -> dict[str, Any]:
    try:
        return _answered(_connected(model), request)
    except (ConnectionError, EOFError, TimeoutError) as error:
        _own.__dict__.pop("connections", None)
        if tries > 1:
            return _ask(model, request, tries - 1)
        raise MachineError(f"{model.place}: the process of the model died ({one_line(error)}), twice; look at memory") from None


def _answered(connection: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
    """Return the child's answer, however long it computes. Raises ConnectionError for a child that is stopped, and ends it."""
    connection.settimeout(STALLED)
    try:
        messages.send(connection, request)
        while not select.select([connection], [], [], STALLED)[0]:
            _end_if_stopped(connection)
        return dict(messages.receive(connection))
    except TimeoutError:
        _end_if_stopped(connection)
        raise


def _end_if_stopped(connection: socket.socket) -> None:
    """Kill a child that a signal stopped (SIGSTOP): it answers nobody, and the socket that it holds leads all others to it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return  # only Linux says who listens
    child = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[0]
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            os.kill(child, signal.SIGKILL)
            with contextlib.suppress(OSError):
                while connection.recv(1 << 16):  # until it is gone, and nobody listens any more
                    pass
            raise ConnectionResetError("it was stopped by a signal")


def _connected(model: Model) -> socket.socket:
    """Return this thread's connection: a forked process must not share its parent's."""
    known = _own.__dict__.setdefault("connections", {})
    key = (os.getpid(), model)
    if key not in known:
        known[key] = _connect(model)
    made: socket.socket = known[key]
    return made


def _connect(model: Model) -> socket.socket:
    there = folder(model.place, model.revision)
    held = digest(model.place, model.revision)
    installed = (
        f"{__version__} {Path(__file__).resolve()} {sys.executable} {model.device} {model.precision} {model.task} {held}"
    )
    place = private_folder() / hashlib.sha256(installed.encode()).hexdigest()[:16]
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = str(place.with_suffix(".socket"))
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address)  # of a child that was killed
            _start([str(there), address, str(place.with_suffix(".lock")), model.device, model.precision, model.task])
            connection.connect(address)
    return connection


def _start(arguments: list[str]) -> None:
    command = [sys.executable, "-m", CHILD, *arguments]
    # A session of its own: it serves other workers, too, when this one gets a Ctrl-C.
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert child.stdout is not None
    with child.stdout:
        line = child.stdout.readline()
    CHILDREN.append(child)  # is waited for when the next one starts, or this process ends
    CHILDREN[:] = [one for one in CHILDREN if one.poll() is None]
    said = json.loads(line).get("error") if line else "its process ended"
    if said:
        raise MachineError(f"{arguments[0]}: the model does not start: {said}; see: {' '.join(command[:4])}")


CHILDREN: list["subprocess.Popen[bytes]"] = []
