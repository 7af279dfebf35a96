"""The contract of a source's options: one that changes what is read changes the plan, so that a part which was made before is made again.

Each option of each of SOURCES gets other values, at the ends of what it may be; then the plan is another one, or the records are equal.
"""

import dataclasses
import gzip
import importlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import exports
import hours
import miniature
import msgspec
import pytest
import toolchains
from datasets_made import dataset
from small_tree import commit

from starmill.core import parsing
from starmill.core.errors import InputError
from starmill.core.names import Place
from starmill.pipelines.recipe import SOURCES
from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.arxiv import Arxiv
from starmill.pipelines.sources.documentation import pdf
from starmill.pipelines.sources.documentation.reader import Documentation
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.functions.reader import Functions
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.git.commits import Commits
from starmill.pipelines.sources.ir.reader import Programs
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.sets.reader import Sets
from starmill.pipelines.sources.source import Limits, Source, at_home
from starmill.pipelines.sources.stackexchange.reader import StackExchange
from starmill.pipelines.sources.swh.commits import SoftwareHeritageCommits
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.sources.tables.reader import Tables
from starmill.pipelines.sources.wikipedia.reader import Wikipedia

# Values of options whose type does not say them.
TEXTS = {"since": "2015-01-02", "until": "2015-01-01", "files": "content", "dataset": "the-stack-v2", "repo_name": "a/b"}
MAPS = {"columns": {"path": "repo_name"}, "constants": {"repo_name": "a/b"}}


def dumps(folder: Path) -> None:
    """Write a small dump of each sort."""
    place, lines = folder / "git/me/toy", [f"line {n}\n" for n in range(100)]
    for n in range(6):
        lines[10 * n] = f"changed by {n}\n"
        commit(
            place, {"a.py": "".join(lines)} | ({"b.py": "x = 1\n", "LICENSE": "MIT\n"} if n == 0 else {}), f"Change line {n}"
        )
    exports.write(folder / "heritage", {"https://github.com/me/toy": place})
    said = miniature.pull_request(1, "me/toy", *(miniature.git(place, "rev-parse", f"HEAD~{k}").strip() for k in (4, 2)))
    talk = [hours.opened(7, 70, body="".join(lines)), hours.comment(7, 71, "It does.")]
    hours.hour(folder / "hours/2015-01-01-10.json.gz", *said, *talk)
    miniature.packages(folder / "packages")
    (folder / "site/toy-1.dist-info").mkdir(parents=True)
    (folder / "site/toy-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (folder / "site/toy-1.dist-info/RECORD").write_text("toy.py,,\n")
    (folder / "site/toy.py").write_text("x = 1\n")
    miniature.programs(folder / "all")
    shutil.copytree(folder / "all/sum-0", folder / "programs/sum-0")
    miniature.sets(folder / "sets", None)
    miniature.prose(folder / "prose")
    posts = folder / "prose/sites/toy.org/Posts.xml"
    posts.with_suffix(".xml.gz").write_bytes(gzip.compress(posts.read_bytes(), mtime=0))
    posts.unlink()
    dataset(folder / "milled", [("toy", "/a.py", "Python", 'def f(x):\n    """F."""\n    return x\n')])
    miniature.rewritten(folder / "table", [place / "a.py", place / "b.py"])


def made(folder: Path) -> dict[type[Source], Source]:
    """Return a source of each class over the dumps."""
    at = {path.name: str(path) for path in folder.iterdir()}
    export = {"export": f"{at['heritage']}/orc", "contents": f"{at['heritage']}/content", "catalog": f"{folder}/catalog"}
    prose, mirrors = at["prose"], {"repositories": at["git"]}
    compilers = {"compilers": toolchains.here(), "sandbox": toolchains.isolation()}
    found = (
        Packages(include=("pypi/toy",)),
        Folders(roots=(at["git"],)),
        SoftwareHeritage(**export),
        Tables(place=at["table"]),
        GHArchive(hours=at["hours"], index=f"{folder}/index/events", **mirrors),
        Archives(folder=at["packages"]),
        Commits(roots=(at["git"],)),
        SoftwareHeritageCommits(**export),
        Sets(dataset="gsm8k", place=f"{at['sets']}/gsm8k"),
        Programs(folder=at["programs"], **compilers),
        StackExchange(folder=f"{prose}/sites", index=f"{folder}/index/posts"),
        Wikipedia(folder=f"{prose}/wikis"),
        Arxiv(folder=f"{prose}/papers"),
        Documentation(folder=at["packages"]),
        Functions(workspace=at["milled"]),
    )
    return {type(source): source for source in found}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[type[Source], Source]:
    [importlib.import_module(name) for name in parsing.LIBRARIES]  # later they are not where imports look
    folder = tmp_path_factory.mktemp("dumps")
    dumps(folder)
    return made(folder)


def others(name: str, hint: Any, value: Any) -> Iterator[Any]:
    """Yield other values of an option, by its type: the ends of its range, and what else it may be."""
    if dataclasses.is_dataclass(value):
        for inner, v in varied(value):
            with suppress(ValueError):
                yield dataclasses.replace(value, **{inner: v})
    elif get_origin(hint) is Annotated:
        base, *metas = get_args(hint)
        bounds = [m for m in metas if isinstance(m, msgspec.Meta)]
        if base is str:
            yield from [TEXTS[name]] if name in TEXTS else []
        else:
            yield from (base(end) for m in bounds for end in (m.ge, m.le) if end is not None)
    elif get_origin(hint) in (UnionType, Union):
        yield from (v for inner in get_args(hint) for v in ([None] if inner is type(None) else others(name, inner, value)))
    elif get_origin(hint) is Literal:
        yield from get_args(hint)
    elif hint is bool:
        yield not value
    elif get_origin(hint) is tuple:
        yield from ((), ("nothing*",)) if get_args(hint)[0] is str else ((), *((one,) for one in value))
    elif get_origin(hint) is dict:
        yield MAPS[name]


def varied(options: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and another value of each option; where the input lies is none."""
    hints = get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        hint, value = hints[field.name], getattr(options, field.name)
        if Place not in (hint, *get_args(hint)) or field.name in TEXTS:
            yield from ((field.name, v) for v in others(field.name, hint, value) if v != value)


def planned(source: Source) -> list[tuple[str, str, str]]:
    return [(r.name, r.fingerprint, r.left_out) for r in source.planned()]


def records(source: Source) -> list[Any]:
    found = [(r, *source.read(r, Limits())) for r in source.planned() if not r.left_out]
    return [(r.name, snapshot, [*entries]) for r, snapshot, entries in found]


def anew(source: Source, folder: Path) -> Source:
    """Return the source with an index of its own, which no other options made."""
    return dataclasses.replace(source, index=f"{folder}/index") if isinstance(source, GHArchive | StackExchange) else source


@pytest.mark.parametrize("cls", SOURCES, ids=lambda cls: cls.kind)
def test_an_option_that_changes_what_is_read_changes_the_plan(
    cls: type[Source], sources: dict[type[Source], Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Path(sources[Archives].places()[0]).parent / "site"
    if cls is Documentation:
        toolchains.namespaces()
        pdf.identity(pdf.Bound(1, 1, "namespaces"))  # finds PDFium, which no longer is where imports look
    monkeypatch.setattr(sys, "path", [str(site), sysconfig.get_path("stdlib")])  # what Packages reads
    source = sources[cls]
    plan, before = planned(source), records(source)
    assert before and records(source) == before, "two readings are equal"
    for number, (name, value) in enumerate(varied(source)):
        try:
            other = dataclasses.replace(source, **{name: value})  # type: ignore[type-var]
            if planned(other) == plan:
                read = records(anew(other, tmp_path / str(number)))
                assert read == before, f"{name}={value!r} changes what is read, and not the plan"
        except (ValueError, InputError):  # refused
            continue


class Backwards:
    """What os.scandir gives, the last one first."""

    def __init__(self, *of: Any) -> None:
        """List a folder."""
        with SCANDIR(*of) as found:
            self._found = [*found]

    def __enter__(self) -> "Backwards":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def __iter__(self) -> "Backwards":
        """Return itself."""
        return self

    def __next__(self) -> os.DirEntry:
        """Return the next entry."""
        if not self._found:
            raise StopIteration
        return self._found.pop()

    def close(self) -> None:
        """Close nothing."""


SCANDIR, LISTDIR = os.scandir, os.listdir


@pytest.mark.parametrize("cls", SOURCES, ids=lambda cls: cls.kind)
def test_neither_where_a_dump_lies_nor_in_what_order_it_is_listed_shows(
    cls: type[Source], sources: dict[type[Source], Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(sources[Archives].places()[0]).parent
    monkeypatch.setattr(sys, "path", [str(folder / "site"), sysconfig.get_path("stdlib")])
    plan, before = planned(sources[cls]), records(sources[cls])
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(os, "listdir", lambda *of: LISTDIR(*of)[::-1])
    other = anew(made(Path())[cls], tmp_path)
    assert planned(other) == plan and records(other) == before
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder / "site"), sysconfig.get_path("stdlib")])
    units, away = other.plan(), at_home(other)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # as a worker on another machine
    read = [[*away.read(unit, Limits())[1]] for unit in units]
    assert sum(map(len, read)) and [away.fingerprint(unit) for unit in units] == [unit.fingerprint for unit in units]
    monkeypatch.chdir(folder)
    assert [[*other.read(unit, Limits())[1]] for unit in units] == read
