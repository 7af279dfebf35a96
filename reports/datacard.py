"""The data card, in the form of the Hugging Face Hub: a README whose front matter tells readers what loads, and whose text says what it is.

Every figure is read from the manifests of the workspace and from four columns of the dataset; how it was made is the recipe's word, which
pipelines/run/method.py has compared with the keys of the parts. Names from a dump are written so that they are text and nothing else.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from starmill.core import __version__
from starmill.core.dataset import Manifest, Workspace, part_path
from starmill.core.errors import UsageError
from starmill.reports import funnel
from starmill.reports.publish import File, Made, folders

DATASET = "dataset"
COLUMNS = ("kind", "license_type", "detected_licenses", "redactions")
# https://github.com/huggingface/datasets/blob/main/src/datasets/utils/resources/size_categories.json
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
MORE_SIZES = ((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"))
MOST = 100  # rows of a table; the rest is one row
TYPES = {
    "permissive": "all licences that were found are permissive",
    "no_license": "no licence was found",
    "non_permissive": "a licence was found that is not permissive",
    "": "licences are not asked of this kind of record",
}
PLACEHOLDERS = {
    "EMAIL": "an e-mail address",
    "IP_ADDRESS": "an IP address, in whose place a private one stands",
    "KEY": "a key, a token or another secret",
    "NAME": "a person's name",
    "PASSWORD": "a password",
}


@dataclass(frozen=True)
class Facts:
    """What is counted of a dataset. `licenses`: by id, the records that have it; `types`: by licence type; `redactions`: by kind."""

    manifest: Manifest
    records: int = 0
    bytes: int = 0
    languages: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # (kind, language): records, bytes
    types: Mapping[str, int] = field(default_factory=dict)
    licenses: Mapping[str, int] = field(default_factory=dict)
    redactions: Mapping[str, int] = field(default_factory=dict)
    redacted: int = 0  # records with a redaction

    @property
    def kinds(self) -> dict[str, tuple[int, int]]:
        """Records and bytes by kind, the largest first."""
        sums: dict[str, list[int]] = {}
        for (kind, _), (records, size) in self.languages.items():
            here = sums.setdefault(kind, [0, 0])
            here[0] += records
            here[1] += size
        return {kind: (n, size) for kind, (n, size) in sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))}


def facts(workspace: Workspace, made_by: str) -> Facts:
    """Count. Reads the manifest, and four columns of each part. Raises UsageError where the dataset is not complete."""
    manifest = workspace.manifest(DATASET)
    if manifest is None:
        raise UsageError(
            f"{made_by}: {workspace.path(DATASET)} has no manifest; run `starmill run` to the end first, or name another with --workspace"
        )
    languages: dict[tuple[str, str], list[int]] = {}
    types, licenses, redactions, redacted = Counter[str](), Counter[str](), Counter[str](), 0
    for part in manifest.parts:
        for count in (count for count in part.counts if not count.reason):
            here = languages.setdefault((count.kind, count.language), [0, 0])
            here[0] += count.files
            here[1] += count.bytes
        for block in workspace.blocks(part_path(DATASET, part.part), COLUMNS):
            kinds, found, ids, spans = (block.column(name).to_pylist() for name in COLUMNS)
            for kind, type_, names, marks in zip(kinds, found, ids, spans, strict=True):
                types[type_ or ""] += 1
                licenses.update(set(names or ()) if kind else ())
                redactions.update(mark["kind"] for mark in marks or ())
                redacted += bool(marks)
    return Facts(
        manifest,
        sum(n for n, _ in languages.values()),
        sum(size for _, size in languages.values()),
        {key: (n, size) for key, (n, size) in sorted(languages.items())},
        dict(types),
        dict(licenses),
        dict(redactions),
        redacted,
    )


def data(workspace: Workspace, found: Facts, method: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the card tells as plain data, for JSON."""
    return {
        "workspace": workspace.root,
        "digest": found.manifest.digest,
        "records": found.records,
        "bytes": found.bytes,
        "kinds": {kind: {"records": n, "bytes": size} for kind, (n, size) in found.kinds.items()},
        "languages": [
            {"kind": kind, "language": language, "records": n, "bytes": size}
            for (kind, language), (n, size) in found.languages.items()
        ],
        "license_types": dict(found.types),
        "licenses": dict(sorted(found.licenses.items())),
        "redactions": dict(found.redactions),
        "redacted_records": found.redacted,
        "stages": funnel.data(workspace)["stages"],
        "method": method,
    }


def text(
    workspace: Workspace,
    found: Facts,
    method: Mapping[str, Any],
    files: Sequence[File] = (),
    made: Sequence[Made] = (),
) -> str:
    """Return README.md. `files`: those of the data, for the configurations; none where nothing is published yet."""
    card = method["card"]
    parts = [
        _front(found, card, files, any(one.path.startswith("notices/") for one in made)),
        f"# {plain(card['name'])}",
        _summary(found),
        "## What is in it\n\n" + _table(("kind", "records", "bytes of text"), [(k, *n) for k, n in found.kinds.items()]),
        _languages(found),
        _sources(method),
        _steps(method),
        _funnel(workspace),
        licenses(found, any(one.path.startswith("notices/") for one in made)),
        personal(found),
        removal(method, card),
        _files(files, made),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def about(found: Facts, method: Mapping[str, Any]) -> dict[str, str]:
    """Return schema.org's properties of the data set, for Croissant."""
    card = method["card"]
    names = ", ".join(name for name, _ in sorted(found.licenses.items(), key=lambda item: (-item[1], item[0]))[:MOST])
    values = {
        "name": card["name"],
        "description": f"{found.records:,} records, {found.bytes:,} bytes of text, milled by starmill; digest {found.manifest.digest}.",
        "version": card["version"],
        "datePublished": card["date"] or "",
        "license": f"Each record stays under its own licence, which detected_licenses names: {names or 'none was found'}",
        "citeAs": f"{card['name']}, version {card['version']}, digest {found.manifest.digest}",
    }
    return {key: value for key, value in values.items() if value}


def configs(files: Sequence[File], notices: bool) -> list[dict[str, Any]]:
    """Return the configurations of the front matter: everything, each kind, each language of a kind, and the notices."""
    kinds = folders([file.kind for file in files])
    told: list[dict[str, Any]] = [{"config_name": "all", "data_files": "data/*/*/*.parquet", "default": True}] if files else []
    for kind, folder in kinds.items():
        told.append({"config_name": folder, "data_files": f"data/{folder}/*/*.parquet"})
        below = sorted({file.path.split("/")[2] for file in files if file.kind == kind})
        told += ({"config_name": f"{folder}-{name}", "data_files": f"data/{folder}/{name}/*.parquet"} for name in below)
    return told + ([{"config_name": "notices", "data_files": "notices/*.parquet"}] if notices else [])


def _front(found: Facts, card: Mapping[str, Any], files: Sequence[File], notices: bool) -> str:
    size = next((name for most, name in (*SIZES, *MORE_SIZES) if found.records < most), "n>1T")
    values = {
        "pretty_name": card["name"],
        "license": "other",
        "license_name": "per-record",
        "license_link": "README.md",
        "language": ["code"],
        "task_categories": ["text-generation"],
        "size_categories": [size],
        "tags": ["code", "starmill"],
        "configs": configs(files, notices),
    }
    return (
        "---\n"
        + yaml.safe_dump({k: v for k, v in values.items() if v}, sort_keys=False, allow_unicode=True, width=1000)
        + "---"
    )


def _summary(found: Facts) -> str:
    return (
        f"{found.records:,} records with {found.bytes:,} bytes of text, milled by starmill {__version__}. The digest of the dataset is "
        f"`{found.manifest.digest}`: the same sources and the same recipe give the same one. `content_id` is git's id of a record's "
        "original bytes, so that `swh:1:cnt:<content_id>` is its Software Heritage identifier; `swhids/` lists these."
    )


def _languages(found: Facts) -> str:
    rows = [(k, language or "none", *n) for (k, language), n in sorted(found.languages.items(), key=lambda i: (-i[1][1], i[0]))]
    few, rest = rows[:MOST], rows[MOST:]
    if rest:
        few.append(("", f"{len(rest):,} others", sum(row[2] for row in rest), sum(row[3] for row in rest)))
    return "## Languages\n\n" + _table(("kind", "language", "records", "bytes of text"), few)


def _sources(method: Mapping[str, Any]) -> str:
    lines = []
    for name, options in method["sources"].items():
        more = ", ".join(f"{key}: {value}" for key, value in options.items() if key != "kind")
        lines.append(f"- **{plain(name)}**, of kind `{options['kind']}`" + (f" ({plain(more)})" if more else ""))
    return "## Sources\n\n" + "\n".join(lines or ["- the recipe names none"])


def _steps(method: Mapping[str, Any]) -> str:
    lines = [
        "## How it was made\n",
        "What each stage did with the records of each kind, in this order. The same options hold for kinds that are named together.",
    ]
    for stage, kinds in method["steps"].items():
        alike: dict[str, list[str]] = {}
        for kind, steps in kinds.items():
            alike.setdefault("\n".join(_step_lines(steps)) or "- nothing", []).append(kind)
        for said, names in alike.items():
            lines.append(f"\n### {stage}: {', '.join(names)}\n\n{said}")
    near = ", ".join(f"{key} {value}" for key, value in method["near_duplicates"].items())
    return "\n".join(lines) + f"\n\nNear duplicates: {near}."


def _step_lines(steps: Iterable[Any]) -> Iterator[str]:
    for name, options, material in steps:
        said = [f"{key}: {value}" for key, value in options.items() if value not in (None, [], {}, "")]
        said += [f"with {one}" for one in material]
        yield f"- `{name}`" + (f" ({plain('; '.join(said))})" if said else "")


def _funnel(workspace: Workspace) -> str:
    rows = []
    for stage in funnel.data(workspace)["stages"]:
        rows.append((stage["stage"], "", "in", stage["in"]["files"], stage["in"]["bytes"]))
        rows += ((stage["stage"], d["step"], d["reason"], d["files"], d["bytes"]) for d in stage["dropped"])
        rows.append((stage["stage"], "", "kept", stage["kept"]["files"], stage["kept"]["bytes"]))
        if stage["folder"] == DATASET:
            break
    return "## What was left out, and why\n\n" + _table(("stage", "step", "reason", "records", "bytes"), rows)


def licenses(found: Facts, notices: bool) -> str:
    """Return the section on licences."""
    ranked = sorted(found.licenses.items(), key=lambda item: (-item[1], item[0]))
    rest = ranked[MOST:]
    few = ranked[:MOST] + ([(f"{len(rest):,} others", sum(n for _, n in rest))] if rest else [])
    types = [(name or "none", TYPES.get(name, ""), n) for name, n in sorted(found.types.items())]
    said = (
        "`notices/` holds the licence and copyright texts of the repositories that have a record here, as they were: keep them with every "
        "copy. A licence that only a header, a readme or a host's own word tells has no text there."
        if notices
        else "The licence texts of the repositories are not part of this set: whoever passes records on has to add those."
    )
    return (
        "## Licences and terms\n\n"
        "Each record stays under the licence of where it comes from; no other one is given here. Whoever uses a record keeps to its "
        "terms, attribution among them: `repo_name`, `path` and the SWHID name the origin. `detected_licenses` are SPDX ids, or "
        "ScanCode's where SPDX has none.\n\n"
        f"{_table(('license type', 'meaning', 'records'), types)}\n\n{_table(('licence', 'records'), few)}\n\n{said}"
    )


def personal(found: Facts) -> str:
    """Return the section on personal data."""
    rows = [(kind, PLACEHOLDERS.get(kind, ""), n) for kind, n in sorted(found.redactions.items())]
    table = f"\n\n{_table(('kind', 'meaning', 'number'), rows)}" if rows else ""
    return (
        "## Personal data\n\n"
        "Personal data and secrets that were found are replaced in the texts, and in names of repositories and files. The column "
        "`redactions` has a span for each in `content` (its kind, and the first and the end character of what stands there now). "
        f"{found.redacted:,} records have some. What no rule finds is still there: treat the texts with care.{table}"
    )


def removal(method: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """Return the section on opting out."""
    lists = [
        one
        for kinds in method["steps"].values()
        for steps in kinds.values()
        for _, options, _ in steps
        for one in options.get("opted_out", ())
    ]
    said = sorted({f"- {plain(str(one))}" for one in lists})
    applied = "Lists of those who opted out were applied:\n\n" + "\n".join(said) if said else "No list of opt-outs was applied."
    contact = plain(card["contact"]) if card["contact"] else "whoever published this copy, in its discussions"
    return (
        f"## Opting out\n\n{applied}\n\nTo have something removed, write to {contact}, and name the owner, the repository, the path, the "
        "commit or the SWHID. It is left out of the next version."
    )


def _files(files: Sequence[File], made: Sequence[Made]) -> str:
    if not files:
        return ""
    size = sum(one.bytes for one in made)
    return (
        "## Loading it\n\n"
        '```python\nfrom datasets import load_dataset\n\nrows = load_dataset("<this folder or data set>", "all", split="train", '
        "streaming=True)\n```\n\n"
        f"{len(made):,} files, {size:,} bytes. There is a configuration for each kind of record and for each language of a kind. "
        "`croissant.json` and `starmill.json` list the files with their sha256."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(f"{c:,}" if isinstance(c, int) else plain(str(c)) for c in row) + " |")
    return "\n".join(lines)


def plain(said: str) -> str:
    r"""Return a text in which Markdown and HTML find nothing to do, on one line.

    >>> print(plain("a|b <i>[y](z)"))
    a\|b \<i\>\[y\](z)
    """
    one = "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in said)
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(one.split()))
