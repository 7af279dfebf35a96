"""Makes instructions of a finished dataset of commits: commits -> judged one by one -> selected. No model is asked.

The parts of the first stage are those of the dataset; selection is one part, and holds all pairs in memory.
"""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starmill.alignment import card
from starmill.alignment.commits import form, rules
from starmill.alignment.commits.recipe import CommitsRecipe
from starmill.alignment.commits.rules import Commit
from starmill.alignment.parts import LINEAGE, SELECTED, Made, Parts, Row
from starmill.alignment.prompts import SHIPPED
from starmill.alignment.read import Reason
from starmill.alignment.select import Near, squeezed
from starmill.core import seeds
from starmill.core.dataset import LastRun, Manifest, StageName, Workspace, part_path
from starmill.core.errors import InputError, NotThere
from starmill.core.files import read_small
from starmill.core.tokenizer import Tokenizer

KIND = "commit"
DATASET = "dataset"
DATASETS = {"commits": "commits", "select": SELECTED}
READ = ("kind", "repo_name", "path", "revision_id", "language", "detected_licenses", "content", "segments")
OF_CODE = ("kind", "repo_name", "path", "detected_licenses")
BYTES = 3  # of a token, where no tokenizer counts them
MAX_BYTES = 1 << 20  # of a file of verbs


@dataclass(frozen=True)
class Finished:
    """What a run made."""

    workspace: Workspace
    funnel: list[card.Step]


@dataclass(frozen=True)
class Licenses:
    """Licences of files, and of all files of a repository together."""

    files: dict[tuple[str, str], tuple[str, ...]]
    repositories: dict[str, tuple[str, ...]]

    def of(self, repository: str, path: str) -> tuple[str, ...]:
        """Return those of a file; where it is not known, as when it was removed later, those of its repository."""
        return self.files.get((repository, path)) or self.repositories.get(repository, ())


def dataset_of(key: str, place: str) -> tuple[Workspace, Manifest]:
    """Return the workspace that a key of the recipe names, with its complete dataset. Raises NotThere."""
    workspace = Workspace(place)
    manifest = workspace.manifest(DATASET)
    if manifest is None:
        raise NotThere(f"{key}: {workspace.url}: no complete {DATASET}/ in it; finish a run there first")
    return workspace, manifest


def verbs_of(wanted: CommitsRecipe) -> frozenset[str]:
    """Return the words that a message may begin with, in lower case. Raises InputError."""
    place = Path(wanted.rules.verbs) if wanted.rules.verbs else SHIPPED / "verbs.txt"
    try:
        found = frozenset(line.strip().lower() for line in read_small(place, MAX_BYTES).decode("utf-8").splitlines())
    except FileNotFoundError:
        raise InputError(f"rules.verbs: {place}: not there; give a file with a word a line") from None
    except UnicodeDecodeError as error:
        raise InputError(f"rules.verbs: {place}: not UTF-8 (byte {error.start:,}); save it as UTF-8") from None
    return found - {""}


def judged(wanted: CommitsRecipe, read: "Read", part: int) -> Made:
    """Return the commits of a part that make an instruction, each with it; the others with the reason."""
    made = Made()
    for row in read.rows(part):
        lineage, one = _lineage(row, read.licenses), commit_of(row)
        told = {"name": one.name, "language": one.language, "message": one.message, **lineage}
        why = rules.judge(one, wanted.rules, read.verbs, read.tokens, wanted.seed)
        if why is None and read.licenses is not None and not lineage["licenses"]:
            why = Reason("no_license")
        if why is not None:
            made.drop(why, **told)
        else:
            instruction, response = form.pair(one, wanted.response)
            made.kept.append({**told, "instruction": instruction, "response": response, "seed": one.before})
    return made


def selected(wanted: CommitsRecipe, rows: list[Row], contaminated: Callable[[str], str | None]) -> Made:
    """Return the pairs that differ and hold nothing of a benchmark, in their order; which of several stays, the seed draws."""
    order = sorted(rows, key=lambda row: (seeds.hashed(wanted.seed, "select", row["name"]), row["name"]))
    near = Near(wanted.near) if wanted.near is not None else None
    asked: set[str] = set()
    told: set[str] = set()
    lost: dict[int, Reason] = {}
    for row in order:
        instruction, response = squeezed(row["instruction"]), squeezed(row["response"])
        text = f"{row['instruction']}\n{row['response']}\n"
        if instruction in asked:
            lost[id(row)] = Reason("same_instruction")
        elif response in told:
            lost[id(row)] = Reason("same_response")
        elif (held := contaminated(text)) is not None:
            lost[id(row)] = Reason("contaminated", held)
        elif near is not None and (kept := near.of(text, row["name"])):
            lost[id(row)] = Reason("near_duplicate", kept)
        else:
            asked.add(instruction)
            told.add(response)
    made = Made()
    for row in rows:
        if why := lost.get(id(row)):
            made.drop(why, name=row["name"], language=row["language"])
        else:
            made.kept.append(
                {
                    "instruction": row["instruction"],
                    "response": row["response"],
                    "name": row["name"],
                    "number": 0,
                    "concepts": [],
                    "difficulty": None,
                    "language": row["language"],
                    "seed": row["seed"],
                    **{field: row[field] for field in LINEAGE},
                    "model": None,
                    "prompts": None,
                }
            )
    return made


class Read:
    """The commits of a dataset, and by what they are judged. Raises NotThere, InputError."""

    def __init__(self, wanted: CommitsRecipe) -> None:
        """Open the dataset, and read what the recipe names."""
        self.workspace, self.manifest = dataset_of("commits", wanted.commits)
        self.verbs = verbs_of(wanted)
        self.tokenizer = Tokenizer.load(wanted.tokenizer, any_family=True) if wanted.tokenizer else None
        self.code = dataset_of("code", wanted.code) if wanted.code else None

    @functools.cached_property
    def licenses(self) -> Licenses | None:
        """The licences of the repositories that have commits; None without a dataset of their files."""
        if self.code is None:
            return None
        wanted = {row["repo_name"] for part in self.manifest.parts for row in self._of(part.part, ("kind", "repo_name"))}
        workspace, manifest = self.code
        files: dict[tuple[str, str], tuple[str, ...]] = {}
        all_of: dict[str, set[str]] = {}
        for part in manifest.parts:
            for block in workspace.blocks(part_path(DATASET, part.part), OF_CODE):
                for row in block.to_pylist():
                    if row["kind"] == "code" and row["repo_name"] in wanted and (found := row["detected_licenses"]):
                        files[row["repo_name"], row["path"]] = tuple(found)
                        all_of.setdefault(row["repo_name"], set()).update(found)
        return Licenses(files, {name: tuple(sorted(found)) for name, found in all_of.items()})

    @functools.cached_property
    def identity(self) -> str:
        """What decides beside the options and the commits."""
        code = self.code and self.code[1].digest
        return json.dumps([sorted(self.verbs), self.tokenizer and hashlib.sha256(self.tokenizer.data).hexdigest(), code])

    def tokens(self, text: str) -> int:
        """Return how many tokens a text has."""
        if self.tokenizer is None:
            return -(-len(text.encode("utf-8", "replace")) // BYTES)
        return len(self.tokenizer.encode(text))

    def rows(self, part: int) -> Iterator[Row]:
        """Yield the commits of a part; records of other kinds are none of this recipe's."""
        return self._of(part, READ)

    def _of(self, part: int, columns: Collection[str]) -> Iterator[Row]:
        for block in self.workspace.blocks(part_path(DATASET, part), [*columns]):
            yield from (row for row in block.to_pylist() if row["kind"] == KIND)


def run(
    wanted: CommitsRecipe,
    contaminated: Callable[[str], str | None],
    index: str,
    tell: Callable[[str], None] = lambda _: None,
) -> Finished:
    """Run both stages. `contaminated` says what of a benchmark a text holds, by the index of that digest. Raises InputError, NotThere.

    What is finished is kept, and the same call goes on.
    """
    read, workspace = Read(wanted), Workspace(wanted.workspace)
    datasets = tuple(StageName(*pair) for pair in DATASETS.items())
    workspace.publish_last_run(LastRun(datasets, len(read.manifest.parts)))
    parts = Parts(workspace, DATASETS, tell)
    options = json.dumps([wanted.response, asdict(wanted.rules), wanted.seed, read.identity], sort_keys=True)
    digests = [sidecar.digest() for sidecar in read.manifest.parts]
    parts.stage("commits", digests, options, lambda part: judged(wanted, read, part))

    def everything(_: int) -> Made:
        rows = [row for part in range(len(digests)) for row in parts.rows(DATASETS["commits"], part)]
        return selected(wanted, rows, contaminated)

    lineage = " ".join([*parts.digests(DATASETS["commits"]), index])
    parts.stage("select", [lineage], json.dumps([wanted.near, wanted.seed]), everything)
    funnel = card.funnel(workspace, DATASETS)
    if not funnel[0].into:
        raise InputError(
            f"commits: {wanted.commits}: no record of kind {KIND} in its {DATASET}/; mill some with `starmill run commits`"
        )
    workspace.publish(f"{SELECTED}/README.md", card.page(_told(wanted), funnel, parts.rows(SELECTED, 0)).encode())
    return Finished(workspace, funnel)


def tried(wanted: CommitsRecipe) -> card.Step:
    """Return what the first stage would keep and drop, and write nothing. Raises InputError, NotThere."""
    read = Read(wanted)
    kept, reasons = 0, Counter[str]()
    for part in read.manifest.parts:
        made = judged(wanted, read, part.part)
        kept += len(made.kept)
        reasons.update(row["reason"] for row in made.dropped)
    dropped = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return card.Step("commits", kept + sum(dropped.values()), kept, dropped)


def _told(wanted: CommitsRecipe) -> card.Told:
    how = wanted.rules
    after = "the text after it" if wanted.response == "text" else "the difference, in unified form"
    return card.Told(
        "Instructions from commits",
        "commits",
        [
            "The instruction is the message of a commit that",
            f"changed one file, and what was changed before it; the response is {after}. People wrote both; nobody ran them.",
        ],
        [
            "- filters: CommitPackFT's (OctoPack, arXiv 2308.07124), as docs/alignment.md says",
            f"- {how.min_tokens:,} to {how.max_tokens:,} tokens, messages of {how.min_words:,} to {how.max_words:,} words",
            f"- pairs of a Jaccard similarity of {wanted.near:g} are near duplicates"
            if wanted.near
            else "- near duplicates stay",
            f"- benchmarks whose texts no pair holds: {', '.join(wanted.benchmarks) or 'none was given'}",
        ],
        ["Each row has the text before (`seed`), and the `swhid` of the commit with its `repository`, `path` and `licenses`."],
    )


def commit_of(row: Row) -> Commit:
    """Return the commit of a dataset's row, its message cleaned."""
    texts = {one["role"]: (one["name"], row["content"][one["start"] : one["end"]]) for one in row["segments"] or ()}
    nothing = ("", "")
    material = json.dumps([row["repo_name"], row["path"]])
    name = hashlib.sha256(material.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    message = rules.cleaned(texts.get("message", nothing)[1])
    path = texts.get("after", nothing)[0] or ""
    return Commit(name, message, path, texts.get("before", nothing)[1], texts.get("after", nothing)[1], row["language"] or "")


def _lineage(row: Row, licenses: Licenses | None) -> dict[str, Any]:
    path = next((one["name"] for one in row["segments"] or () if one["role"] == "after"), "") or ""
    found = row["detected_licenses"] or () if licenses is None else licenses.of(row["repo_name"], path)
    swhid = f"swh:1:rev:{row['revision_id']}" if row["revision_id"] else None
    return {"swhid": swhid, "repository": row["repo_name"], "path": path, "lines": None, "licenses": [*found]}
