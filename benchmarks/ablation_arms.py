"""The arms of benchmarks/ablation.py: what each way makes of one dump, as texts; and a training's shards of them.

Ours are the stages of recipe `smoke` from ingest to release over the folder of the dump, with the options of `OURS`; a peer's chain runs in
an environment of its own (tools.py). All are cut into tokens alike, so that nothing but the texts differs.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow.parquet as pq
import tools
import truth

from starmill.cli.__main__ import main as command
from starmill.core import seeds
from starmill.core.dataset import Sidecar, Workspace, output
from starmill.core.shards import ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, huggingface_files
from starmill.pipelines.stages import STAGES, load

Texts = list[tuple[str, str]]  # names in the dump, and what an arm made of these files
OURS = {  # options of the recipe, by arm
    "ours": (),
    "ours, no dedup": ("minhash.near=false",),  # and exact copies are put back
    "ours, no filters": ("curate.quality.rules=[]", "curate.licenses.keep=[permissive, no_license, non_permissive]"),
    "ours, no redaction": ("release.redact.emails=false", "release.redact.ip_addresses=false", "release.redact.keys=false"),
}
COPY = ("repo_name", "path", "kept_repo_name", "kept_path")  # of what dedup dropped
ALIKE = 0.7  # Jaccard similarity of near-duplicates


def raw(folder: Path, cache: Path) -> Texts:
    """Return the dump as it is."""
    table = pq.read_table(folder / "corpus/corpus.parquet", columns=["name", "content"])
    return [*zip(*(column.to_pylist() for column in table.columns), strict=True)]


def ours(arm: str) -> Callable[[Path, Path], Texts]:
    """Return the arm of ours with other options."""

    def made(folder: Path, cache: Path) -> Texts:
        place = folder / "work" / arm.replace(", ", "-").replace(" ", "-")
        words = [
            "smoke",
            "--input",
            str(folder / "dump"),
            "--workspace",
            str(place),
            "--workers",
            "1",
            "--quiet",
            "--no-funnel",
        ]
        sets = [word for one in OURS[arm] for word in ("--set", one)]
        for stage in STAGES[: 1 + next(at for at, name in enumerate(STAGES) if load(name).dataset == "dataset")]:
            if command([stage, *words, *sets]):
                raise tools.Failed(f"starmill {stage} failed")
        found = [row for name in sorted(place.glob("dataset/*.parquet")) for row in _rows(name, "repo_name", "path", "content")]
        texts = {f"{repository}{path}": text for repository, path, text in found}
        if arm == "ours, no dedup":
            gone = [row for name in sorted(place.glob("dropped/dedup/*.parquet")) for row in _rows(name, *COPY)]
            texts |= {f"{r}{path}": texts[f"{kept_r}{kept}"] for r, path, kept_r, kept in gone if f"{kept_r}{kept}" in texts}
        return [*texts.items()]

    return made


def datatrove(folder: Path, cache: Path) -> Texts:
    """Return what datatrove's chain leaves."""
    place = _fresh(folder / "peers/datatrove")
    script, corpus = tools.PEERS / "chain_datatrove.py", folder / "corpus/corpus.parquet"
    print(
        "datatrove's filters of prose would keep",
        tools.run([_python("datatrove", cache), str(script), str(corpus), str(place)]).last,
    )
    names = [name for name, _ in raw(folder, cache)]
    rows = map(json.loads, (place / "texts.jsonl").read_text().splitlines())
    return [(names[int(row["id"])], row["text"]) for row in rows]


def data_prep_kit(folder: Path, cache: Path) -> Texts:
    """Return what data-prep-kit's chain leaves."""
    place = _fresh(folder / "peers/data-prep-kit")
    (place / "kept").mkdir()
    script, kept = tools.PEERS / "chain_data_prep_kit.py", place / "kept/corpus.parquet"
    tools.run([_python("data-prep-kit", cache), str(script), str(folder / "corpus/corpus.parquet"), str(kept)])
    [tool] = [tool for tool in tools.TOOLS if tool.environment == "fdedup"]
    tools.run(tool.command(_python("fdedup", cache), str(kept), str(place)))
    return [row for name in sorted(place.glob(tool.kept)) for row in _rows(name, "name", "content")]


ARMS: dict[str, Callable[[Path, Path], Texts]] = {
    "raw": raw,
    **{arm: ours(arm) for arm in OURS},
    "datatrove": datatrove,
    "data-prep-kit": data_prep_kit,
}


def texts(arm: str, folder: Path, cache: Path) -> Texts:
    """Return an arm's texts in the order of their names, made once. Raises tools.Failed."""
    kept = folder / "arms" / f"{arm}.json"
    if not kept.exists():
        made = sorted(ARMS[arm](folder, cache))
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(made))
    return [(name, text) for name, text in json.loads(kept.read_text())]


def drawn(made: Texts, seed: int, tokens: int, encode: Callable[[str], np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """Return files of an arm, in an order that the seed draws by name, until they have so many tokens; all, where there are fewer.

    A file that two arms have is drawn at the same place in both, so that arms of one seed differ by little else than the arm.
    """
    found, left = [], tokens
    for name, text in sorted(made, key=lambda one: (seeds.uint64(seed, "drawn", one[0]), one[0])):
        if left <= 0:
            break
        found.append((name, encode(text)[:left]))
        left -= len(found[-1][1])
    return found


def shards(files: Sequence[tuple[str, np.ndarray]], tokenizer: Tokenizer, place: Path) -> int:
    """Write a workspace that the trainer reads, a document a file; return its tokens."""
    workspace, writer, tokens = Workspace(str(_fresh(place))), ShardWriter(tokenizer.eod), 0
    for name, content in huggingface_files(tokenizer.data).items():
        workspace.publish(f"tokenizer/{name}", content)
    for name, ids in files:
        ending = PurePosixPath(name).suffix.removeprefix(".") or "none"
        both = np.concatenate([np.array([tokenizer.special("<file_sep>")], tokenizer.dtype), ids])
        writer.add(both, "code", name, ending, [TokenSpan(name, "0" * 40, ending, 1, len(ids))])
        tokens += len(both) + 1
    made = {f"shards/part-00000.{suffix}": content for suffix, content in writer.finish().items()}
    workspace.commit(Sidecar("tokenize", "shards", 0, "k", tuple(output(n, c) for n, c in made.items())), list(made.values()))
    workspace.finish("shards", "k", 1, "v")
    return tokens


def told(made: Texts, secrets: Sequence[str]) -> dict[str, float]:
    """Return an arm's files, MB, files that are near-duplicates of an earlier one, and how many of the planted secrets are in a text."""
    own = [text.encode() for _, text in made]
    exact = truth.similar_pairs(own, truth.shingle_sets(own), ALIKE)
    together = b"\0".join(own)
    return {
        "files": len(made),
        "megabytes": sum(map(len, own)) / 1e6,
        "near_duplicates": len({max(pair) for pair in exact.pairs.tolist()}),
        "secrets": sum(secret.encode() in together for secret in secrets),
    }


def _rows(path: Path, *columns: str) -> list[tuple]:
    table = pq.read_table(path, columns=list(columns))
    return [*zip(*(table.column(name).to_pylist() for name in columns), strict=True)]


def _python(name: str, cache: Path) -> str:
    return tools.environment(name, cache)


def _fresh(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place
