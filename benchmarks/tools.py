"""The tools that are compared, each in an environment of its own, and every run as one process: wall, CPU with children, memory."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PEERS = Path(__file__).parent / "peers"
# The last versions that ran; pyarrow below 21 because fdedup's own bound on numpy breaks later ones.
REQUIREMENTS = {
    "datatrove": ("datatrove[io,processing]==0.10.1", "spacy==3.8.18", "orjson"),
    "fdedup": ("data-prep-toolkit-transforms[fdedup]==1.1.8", "pyarrow<21"),
    "text-dedup": ("text-dedup==0.4.0",),
    "datatrove decontamination": ("datatrove[io,processing]==0.10.1", "orjson"),
    "dolma decontamination": ("dolma==1.0.8",),
    "duckdb": ("duckdb==1.4.2", "pyarrow"),
    "data-prep-kit": ("data-prep-toolkit-transforms[code_quality]==1.1.8", "pyarrow<21"),
    "detect-secrets": ("detect-secrets==1.5.0",),
    "dolma": ("dolma==1.2.1",),
    "evalplus": ("evalplus==0.3.1",),
    "llama.cpp": ("xllamacpp==2026.10.11549",),
    "presidio": ("presidio-analyzer==2.2.366",),
    "self-align": ("tree-sitter==0.21.3", "tree-sitter-languages==1.10.2", "autoimport==1.6.1", "setuptools<81"),
    "tokenizing": ("tokenizers==0.23.3", "tiktoken==0.14.0", "fastokens==0.3.5", "pyarrow"),
    "sketches": ("rensa==0.5.0", "datasketch==2.0.0", "xxhash", "pyarrow"),
}


class Failed(Exception):
    """A tool could not be installed or run; the message is its last line."""


@dataclass(frozen=True)
class Usage:
    """What a process and its children took: seconds, CPU seconds, MB (10**6) of the largest process; and its last line."""

    wall: float
    cpu: float
    peak: float
    last: str


def environment(name: str, cache: Path) -> str:
    """Return the Python of a tool's own environment under `cache`, made first where it is not there. Raises Failed."""
    if name == "starmill":
        return sys.executable
    folder, wanted = cache / name, "\n".join(REQUIREMENTS[name])
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise Failed("uv is not installed: run `make setup`, or pip install uv")
    shutil.rmtree(folder, ignore_errors=True)
    run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
    run([uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), *REQUIREMENTS[name]])
    stamp.write_text(wanted)
    return str(python)


def version(python: str, name: str) -> str:
    """Return a package's version in an environment."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def run(command: Sequence[str], threads: int = 1) -> Usage:
    """Run a command with so many threads a library and no network of Hugging Face's. Raises Failed with its last line.

    Bytecode is kept, as on any machine: nobody is to pay for compiling its imports in each run.
    """
    lid = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    lid |= dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "1")
    with tempfile.TemporaryDirectory() as folder:
        measured = [sys.executable, "-IS", str(PEERS / "measured.py"), f"{folder}/usage", *command]
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(measured, capture_output=True, text=True, errors="replace", env={**kept, **lid})
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode:
            raise Failed((done.stderr.strip().splitlines() or [last or "it failed without a word"])[-1])
        wall, cpu, peak = json.loads(Path(f"{folder}/usage").read_text())
    return Usage(wall, cpu, peak * 1024 / 1e6, last)


@dataclass(frozen=True)
class Tool:
    """One row of the comparison. `command(python, corpus, folder)` deduplicates a corpus into `folder`; `kept` are the files of texts."""

    label: str
    environment: str
    package: str
    command: Callable[[str, str, str], list[str]]
    kept: str
    slow: bool = False

    def ids(self, folder: str) -> set[int]:
        """Return the ids of the files that a run kept. Raises Failed where it left none."""
        names = sorted(map(str, Path(folder).glob(self.kept)))
        if not names:
            raise Failed(f"no {self.kept}: it ended without a result and without an error")
        column = "path" if self.environment == "starmill" else "id"
        tables = [
            pa.ipc.open_stream(n).read_all() if n.endswith(".arrow") else pq.read_table(n, columns=[column]) for n in names
        ]
        return {int(value.lstrip("/")) for table in tables for value in table.column(column).to_pylist()}


def _starmill(python: str, corpus: str, folder: str) -> list[str]:
    return [python, str(PEERS / "with_starmill.py"), "run", f"{folder}/workspace", f"{folder}/kept.parquet"]


def _bigcode(python: str, corpus: str, folder: str) -> list[str]:
    return [python, str(PEERS / "with_bigcode.py"), "run", corpus, f"{folder}/kept.parquet"]


def _rensa(python: str, corpus: str, folder: str) -> list[str]:
    return [python, str(PEERS / "with_rensa.py"), "run", corpus, f"{folder}/kept.parquet"]


def _datatrove(tokenizer: str) -> Callable[[str, str, str], list[str]]:
    return lambda python, corpus, folder: [python, str(PEERS / "with_datatrove.py"), "run", corpus, folder, tokenizer]


def _fdedup(python: str, corpus: str, folder: str) -> list[str]:
    place = ["--input_folder", str(Path(corpus).parent), "--output_folder", folder]
    columns = ["--contents_column", "content", "--document_id_column", "int_id_column"]
    return [python, "-m", "dpk_fdedup.transform_python", *place, *columns, "--operation_mode", "filter_duplicates"]


def _text_dedup(python: str, corpus: str, folder: str) -> list[str]:
    place = ["--path", "parquet", "--data_files", corpus, "--split", "train", "--cache_dir", f"{folder}/cache"]
    how = ["--column", "content", "--num_perm", "256", "--threshold", "0.7", "--hash_func", "xxh3", "--hash_bits", "32"]
    return [python, "-m", "text_dedup.minhash", *place, "--output", f"{folder}/kept", *how, "--num_proc", "1"]


TOOLS = (
    Tool("starmill", "starmill", "starmill", _starmill, "kept.parquet"),
    Tool("rensa's deduplicator", "sketches", "rensa", _rensa, "kept.parquet"),
    Tool("data-prep-kit fdedup", "fdedup", "data-prep-toolkit-transforms", _fdedup, "cleaned/*.parquet"),
    Tool("datatrove, regex tokenizer", "datatrove", "datatrove", _datatrove("regex"), "kept/*.parquet"),
    Tool("text-dedup", "text-dedup", "text-dedup", _text_dedup, "kept/*.arrow"),
    Tool("BigCode's procedure, written anew on numpy", "sketches", "numpy", _bigcode, "kept.parquet"),
    Tool("datatrove, default tokenizer", "datatrove", "datatrove", _datatrove("spacy"), "kept/*.parquet", slow=True),
)
