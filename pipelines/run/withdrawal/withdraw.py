"""`starmill withdraw`: a finished workspace without what a list names, part after part, and an attestation of what went.

    withdrawal/plan.json            the journal: the list's digest, and the digests of all files before
    withdrawal/part-00000/...       the new files of a part, and then its change.json: from then on the part is published from here
    withdrawals/00000.json          the attestation, which `starmill attest` verifies (reports/attest.py)

A run that is killed goes on: a part without change.json is still what it was, and one with it is published again from the journal. So it
ends with the same bytes. Keys stay what they were, and count parts as their stages made them (core/dataset.py: Sidecar.made): a later run
has nothing to make. Nothing is taken out of the portrait, the fingerprints and the trigrams: they are made again of what stays.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import msgspec

from starmill.core import __version__
from starmill.core.dataset import Manifest, Sidecar, StageName, Workspace, part_number
from starmill.core.errors import InputError, UsageError
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines import opt_outs, stages
from starmill.pipelines.opt_outs import OptOutList
from starmill.pipelines.run import attribution
from starmill.pipelines.run.attribution import DERIVED
from starmill.pipelines.run.withdrawal.chosen import Chosen, judges
from starmill.pipelines.run.withdrawal.part import Change, change
from starmill.pipelines.run.withdrawn import ATTESTATIONS, JOURNAL, PLAN
from starmill.pipelines.runners.runner import Runner
from starmill.transforms.decide.optout import OptOut

TOKENIZER = "tokenizer/tokenizer.json"
UNDATED = "0000-01-01"  # a list that is withdrawn needs no date
FORMAT = 1  # of the attestation


Files = dict[str, tuple[str, int]]  # sha256 and bytes by path


class Published(Protocol):
    """What was published of a workspace."""

    target: str

    def files(self) -> Files:
        """Return its files."""
        ...

    def again(self) -> None:
        """Publish the workspace again: what is no longer in it goes."""
        ...


@dataclass(frozen=True)
class Plan:
    """What the journal holds: of which list, the manifests (without their parts) and all files before; steps that trainings read it in.

    `target`: what was published, and `published` its files.
    """

    list_sha256: str
    wishes: int
    attestation: str
    manifests: dict[str, Manifest]
    files: Files
    trainings: list[dict[str, Any]]
    target: str = ""
    published: Files = field(default_factory=dict)


@dataclass(frozen=True)
class Staged:
    """What change.json holds of a part: the paths of its new files, those that go, its sidecars, and what went."""

    data: list[str]
    removed: list[str]
    sidecars: list[Sidecar]
    records: list[tuple[str, str, int, int]]
    tokens: int
    documents: int
    files: int


def read(place: str) -> OptOut:
    """Read a list, in the forms of curate's. Raises as opt_outs.read."""
    return opt_outs.read((OptOutList(place, UNDATED),))


def workspace_of(place: Workspace) -> Workspace:
    """Return the workspace of a folder that may be its shards/."""
    if place.exists("shards/manifest.json") or place.exists(PLAN) or not place.url.rstrip("/").endswith("/shards"):
        return place
    return replace(place, url=place.url.rstrip("/").removesuffix("/shards"))


def changes(workspace: Workspace, wanted: OptOut) -> Iterator[Change]:
    """Yield what changes in each part of a workspace that has something of what a list names; nothing is written."""
    found, judged = _stages(workspace), judges(wanted.named)
    _refuse_unknowable(workspace, wanted)
    tokenizer = functools.cache(lambda: Tokenizer.load(workspace.read(TOKENIZER), where=workspace.path(TOKENIZER)))
    for part in _parts(workspace, found):
        made = change(workspace, found, part, Chosen(judged), tokenizer)
        if not made.is_empty:
            yield made


def spans(workspace: Workspace, wanted: OptOut) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Return [start, end) in their document of the tokens that go, by (shard, document)."""
    return {(made.part, document): found for made in changes(workspace, wanted) for document, found in made.spans.items()}


def withdraw(
    workspace: Workspace,
    wanted: OptOut,
    runner: Runner,
    trainings: Callable[[], list[dict[str, Any]]] = list,
    published: Published | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> dict[str, Any] | None:
    """Take what a list names out of a workspace; return the attestation, None where nothing of it is there.

    `trainings()` says which steps of which trainings read it, and is asked before anything changes. Raises UsageError for an unfinished
    workspace, and where a withdrawal of another list is not finished; InputError for a file that is damaged.
    """
    found = _stages(workspace)
    plan = workspace.load(PLAN, Plan)
    if plan is None:
        manifests = _complete(workspace, found)
        first = next(changes(workspace, wanted), None)
        if first is None:
            return None
        plan = _planned(workspace, wanted, manifests, trainings())
        if published is not None:
            plan = replace(plan, target=published.target, published=published.files())
        workspace.publish(PLAN, _json(plan))
    if plan.list_sha256 != wanted.lists[0].sha256:
        raise UsageError(
            f"{workspace.path(PLAN)}: the withdrawal of another list (sha256 {plan.list_sha256[:12]}..) is not finished; finish it with "
            "that list first"
        )
    if plan.target != (published.target if published else ""):
        raise UsageError(
            f"{workspace.path(PLAN)}: was begun with --published {plan.target or 'of nothing'}; finish it with the same options"
        )
    workspace.remove_all([f"{name}/manifest.json" for name in plan.manifests if name not in DERIVED])
    done = [staged for part in _parts(workspace, found) if (staged := _taken(workspace, found, wanted, part, told)) is not None]
    for name, manifest in plan.manifests.items():
        if name not in DERIVED:
            parts = tuple(s for k in sorted(workspace.published(name)) if (s := workspace.sidecar(name, k)) is not None)
            digest = hashlib.sha256("".join(p.digest() for p in parts).encode()).hexdigest()
            workspace.publish_manifest(replace(manifest, parts=parts, digest=digest))
    for name in DERIVED.keys() & plan.manifests.keys():
        if workspace.manifest("dataset") is not None:
            told(f"{name}: made again of what stays")
            attribution.make(workspace, DERIVED[name], runner, quiet=True)
    if published is not None:
        told(f"{published.target}: published again")
        published.again()
    made = _attestation(workspace, plan, done, published.files() if published else {})
    workspace.publish(plan.attestation, (json.dumps(made, indent=1, sort_keys=True) + "\n").encode())
    workspace.remove(PLAN)
    workspace.clear(JOURNAL)
    return made


def _taken(
    workspace: Workspace, found: Sequence[StageName], wanted: OptOut, part: int, told: Callable[[str], None]
) -> Staged | None:
    """Stage what changes in a part, unless that is done, and publish it; None where nothing does."""
    folder = f"{JOURNAL}/part-{part:05d}"
    staged = workspace.load(f"{folder}/change.json", Staged)
    if staged is None:
        tokenizer = functools.cache(lambda: Tokenizer.load(workspace.read(TOKENIZER), where=workspace.path(TOKENIZER)))
        made = change(workspace, found, part, Chosen(judges(wanted.named)), tokenizer)
        if made.is_empty:
            return None
        for path, data in made.data.items():
            workspace.publish(f"{folder}/{path}", data)
        records = [(kind, reason, files, size) for (kind, reason), (files, size) in sorted(made.records.items())]
        numbers = (made.tokens, made.documents, made.files)
        staged = Staged(sorted(made.data), made.removed, made.sidecars, records, *numbers)
        workspace.publish(f"{folder}/change.json", _json(staged))
    for path in staged.data:
        workspace.publish(path, workspace.read(f"{folder}/{path}"))
    workspace.remove_all(staged.removed)
    for sidecar in staged.sidecars:
        workspace.publish_sidecar(sidecar)
    told(f"part {part}: {sum(n for _, _, n, _ in staged.records):,} records, {staged.tokens:,} tokens")
    return staged


def _stages(workspace: Workspace) -> list[StageName]:
    """Return the stages that have parts here. Raises InputError where none has."""
    every = [StageName(stage.name, stage.dataset) for stage in map(stages.load, stages.STAGES)]
    found = [stage for stage in every if workspace.published(stage.dataset)]
    if not found:
        raise InputError(
            f"{workspace.root}: no dataset and no shards; give the workspace that `starmill run` filled, or a copy of its shards"
        )
    return found


def _parts(workspace: Workspace, found: Sequence[StageName]) -> list[int]:
    return sorted({part for stage in found for part in workspace.published(stage.dataset)})


def _complete(workspace: Workspace, found: Sequence[StageName]) -> dict[str, Manifest]:
    manifests = {stage.dataset: workspace.manifest(stage.dataset) for stage in found}
    for name, manifest in manifests.items():
        if manifest is None:
            raise UsageError(
                f"{workspace.path(name)}: no manifest, so its stage is not complete; run `starmill run` to its end first"
            )
    manifests |= {name: workspace.manifest(name) for name in DERIVED}
    return {name: manifest for name, manifest in manifests.items() if manifest is not None}


def _refuse_unknowable(workspace: Workspace, wanted: OptOut) -> None:
    """Raise UsageError for wishes that shards alone cannot fulfil: side tables know neither revisions nor GitHub's numbers."""
    if any(workspace.published(name) for name in ("records", "curated", "dataset")):
        return
    unknown = [*(f"github:{number}" for number in wanted.named.numbers), *(s for s in wanted.named.swhids if ":cnt:" not in s)]
    if unknown:
        raise UsageError(
            f"{unknown[0]}: shards alone do not know what it names; give the workspace with its dataset/, or name the repositories"
        )


def _planned(workspace: Workspace, wanted: OptOut, manifests: dict[str, Manifest], trainings: list[dict[str, Any]]) -> Plan:
    files = {o.path: (o.sha256, o.bytes) for m in manifests.values() for p in m.parts for o in p.outputs}
    taken = [part_number(f"part-{name}") for name in workspace.files(ATTESTATIONS)]
    number = 1 + max((n for n in taken if n is not None), default=-1)
    bare = {name: replace(manifest, parts=()) for name, manifest in manifests.items()}
    (origin,) = wanted.lists
    return Plan(origin.sha256, origin.wishes, f"{ATTESTATIONS}/{number:05d}.json", bare, files, trainings)


def _attestation(workspace: Workspace, plan: Plan, done: Sequence[Staged], published: Files) -> dict[str, Any]:
    found = (workspace.manifest(name) for name in plan.manifests)
    after = {o.path: (o.sha256, o.bytes) for m in found if m is not None for p in m.parts for o in p.outputs}
    by: dict[tuple[str, str], list[int]] = {}
    for staged in done:
        for kind, reason, count, size in staged.records:
            of = by.setdefault((kind, reason), [0, 0])
            of[:] = of[0] + count, of[1] + size
    records = [{"kind": k, "reason": r, "files": n, "bytes": size} for (k, r), (n, size) in sorted(by.items())]
    shards = {name: sum(getattr(staged, name) for staged in done) for name in ("documents", "files", "tokens")}
    return {
        "format": FORMAT,
        "starmill": __version__,
        "list": {"sha256": plan.list_sha256, "wishes": plan.wishes},
        "removed": {"records": records, "shards": shards, "parts": len(done)},
        "trainings": plan.trainings,
        "attestation": plan.attestation,
        "files": _compared(plan.files, after),
        "published": _compared(plan.published, published),
    }


def _compared(before: Files, after: Files) -> list[dict[str, Any]]:
    def said(files: Files, path: str) -> dict[str, Any] | None:
        return dict(zip(("sha256", "bytes"), files[path], strict=True)) if path in files else None

    return [{"path": path, "before": said(before, path), "after": said(after, path)} for path in sorted({*before, *after})]


def _json(value: Plan | Staged) -> bytes:
    return msgspec.json.encode({"format": 1, **asdict(value)})
