"""The dumps of recipes/data/miniature.yaml, small and complete: an export, repositories, hours, packages, programs, sets.

    PYTHONPATH=tests/end_to_end:tests/hostile python tests/end_to_end/miniature.py FOLDER [SAMPLES]

Code is the standard library's, what people say is invented. True samples of dumps, where SAMPLES holds them, lie among it. Two calls
write the same bytes.
"""

import gzip
import io
import json
import shutil
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from textwrap import wrap
from typing import Any

import exports
import hours
import papers
import pdfs
import posts
import wikis
from small_tree import STDLIB, commit, git, license_text

from starmill.core import swhid

PACKAGES = (
    "json",
    "email",
    "http",
    "html",
    "xml",
    "logging",
    "unittest",
    "wsgiref",
    "urllib",
    "concurrent",
    "importlib",
    "sqlite3",
)
DOCUMENTED = (
    "numpy",
    "pyarrow",
    "pytest",
    "rich",
    "typer",
    "msgspec",
    "fsspec",
    "psutil",
    "zstandard",
    "pluggy",
    "click",
    "jinja2",
)
SPOKEN = (
    "When the file is empty, the reader returns one row of nulls instead of none, and the counts are wrong after it.",
    "I see the same with version 2, on Linux and on a Mac. A file with a single line feed is enough to show it.",
    "The loop ends one step too late: it tests for the end only after the row was made. I can send a change for it.",
    "Please do, and add a test with an empty file and one with a last line that is not terminated.",
    "Merged, and it will be in the next release. Thank you both for the report and for the small example.",
)
PROGRAMS = {
    "c": "#include <stdio.h>\n\nint main(void) {{\n    long sum = 0;\n"
    "    for (int i = 1; i <= {n}; i++)\n        if (i % {m} == 0) sum += i;\n"
    '    printf("%ld\\n", sum);\n    return 0;\n}}\n',
    "cpp": "#include <cstdio>\n\nstruct Sum {{\n    long of(int n) const {{ return n <= 0 ? 0 : n + of(n - {m}); }}\n}};\n\n"
    'int main() {{\n    std::printf("%ld\\n", Sum{{}}.of({n}));\n}}\n',
    "rs": "fn digits(mut n: u32) -> u32 {{\n    let mut sum = 0;\n    while n > 0 {{\n        sum += n % 10;\n        n /= 10;\n"
    "    }}\n    sum\n}}\n\nfn main() {{\n    let mut found = 0;\n    for i in 1..={n}u32 {{\n        if digits(i) % {m} == 0 {{\n"
    "            found += 1;\n        }}\n    }}\n    std::process::exit(found);\n}}\n",
}


def make(folder: Path, samples: Path | None = None) -> Path:
    """Write all dumps below `folder`, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    places = [*repositories(folder / "git/python"), notebooks(folder / "git/me/notebooks", samples)]
    exports.write(folder / "heritage", {f"https://github.com/{p.parent.name}/{p.name}": p for p in places})
    talk(folder / "gharchive", places[:-1])
    packages(folder / "packages")
    programs(folder / "programs")
    sets(folder / "sets", samples)
    prose(folder / "prose")
    rewritten(folder / "rewritten", sorted((folder / "git/python/json").rglob("*.py")))
    if samples:
        true = samples / "swh-export/export"
        shutil.copytree(true / "orc", folder / "heritage/orc", dirs_exist_ok=True)
        shutil.copytree(true / "content", folder / "heritage/content", dirs_exist_ok=True)
        for hour in sorted((samples / "gharchive").glob("*.json.gz")):
            shutil.copy(hour, folder / "gharchive")
    return folder


def repositories(folder: Path) -> list[Path]:
    """Repositories of the standard library's packages; each file came to its length in two commits."""
    places = []
    for number, package in enumerate(PACKAGES):
        files = {
            path.relative_to(STDLIB).as_posix(): path.read_text() for path in sorted((STDLIB / package).rglob("*.py"))[:12]
        }
        files = {name: text for name, text in files.items() if text.strip()}
        lines = {name: text.splitlines(keepends=True) for name, text in files.items()}
        before = {name: "".join(text[: len(text) * 2 // 3]) for name, text in lines.items()}
        own = {"LICENSE": license_text(("mit", "bsd-new", "apache-2.0", "gpl-3.0")[number % 4]), "README.md": f"# {package}\n"}
        place = commit(folder / package, own | before, "Take the first of every file")
        for name in [*files][:6]:
            commit(place, {name: files[name]}, f"Complete what {Path(name).name} promises to its callers")
        commit(place, files, "Take the rest of every file")
        places.append(place)
    return places


def notebooks(folder: Path, samples: Path | None) -> Path:
    """A repository of notebooks: the samples, or some of our own."""
    own = {}
    for n in range(6):
        cells = [
            {
                "cell_type": "markdown",
                "metadata": {},
                "source": f"# Sums up to {n + 3}\n\nEach row is a number and what all before it add up to.",
            },
            {
                "cell_type": "code",
                "metadata": {},
                "execution_count": 1,
                "source": [f"total = 0\nfor i in range({n + 3}):\n", "    total += i\n", "    print(i, total)"],
                "outputs": [
                    {
                        "output_type": "stream",
                        "name": "stdout",
                        "text": "".join(f"{i} {i * (i + 1) // 2}\n" for i in range(n + 3)),
                    }
                ],
            },
            {"cell_type": "markdown", "metadata": {}, "source": "The last total is enough."},
            {"cell_type": "code", "metadata": {}, "execution_count": 2, "source": "total", "outputs": []},
        ]
        kernel = {
            "kernelspec": {"name": "python3", "language": "python"},
            "language_info": {"name": "python", "file_extension": ".py"},
        }
        own[f"sums-{n}.ipynb"] = json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": kernel, "cells": cells}, indent=1)
    true = sorted((samples / "notebooks").glob("*.ipynb")) if samples else []
    return commit(folder, own | {path.name: path.read_bytes() for path in true}, "All notebooks")


def talk(folder: Path, places: list[Path]) -> None:
    """An hour of issues, and of a pull request for each repository, whose commits are there."""
    events: list[dict[str, Any] | bytes] = []
    for n in range(40):
        title, at = f"Rows are wrong after an empty file ({n})", f"00:{n:02}:00"
        events.append(hours.opened(n, 10 * n, at, title=title, body=SPOKEN[0]))
        for k, said in enumerate(SPOKEN[1:], 1):
            events.append(
                hours.comment(n, 10 * n + k, f"{said} ({n})", ("bob-b", "ann")[k % 2], at, title=title, body=SPOKEN[0])
            )
    for n, place in enumerate(places):
        events += pull_request(
            n, f"{place.parent.name}/{place.name}", *(git(place, "rev-parse", f"HEAD~{k}").strip() for k in (4, 2))
        )
    hours.hour(folder / "2015-01-01-10.json.gz", *events)


def pull_request(n: int, name: str, base: str, head: str) -> list[dict[str, Any] | bytes]:
    """The events of a pull request that is reviewed and merged."""
    of: dict[str, Any] = {"number": 1, "title": f"Complete what {name} promises", "body": SPOKEN[2], "user": {"login": "ann"}}
    of |= {"base": {"sha": base, "repo": None}, "head": {"sha": head, "repo": None}}
    review = {"id": n, "body": SPOKEN[3], "user": {"login": "bob-b"}, "state": "approved"}

    def said(kind: str, minute: int, payload: dict[str, Any], login: str) -> dict[str, Any]:
        number = 900_000 + 10 * n + minute
        return hours.event(kind, {"pull_request": of, **payload}, f"01:{minute:02}:00", number, login, (100 + n, name))

    return [
        said("PullRequestEvent", 0, {"action": "opened"}, "ann"),
        said("PullRequestReviewEvent", 1, {"action": "created", "review": review}, "bob-b"),
        said("PullRequestEvent", 2, {"action": "closed", "pull_request": {**of, "merged": True}}, "bob-b"),
    ]


def packages(folder: Path) -> None:
    """Wheels with what installed distributions say of themselves, an npm package, a crate, a manual as PDF."""
    folder.mkdir(parents=True)
    for name in DOCUMENTED:
        found = metadata.distribution(name)
        said = (found.read_text("METADATA") or "").encode()
        with zipfile.ZipFile(folder / f"{name}-{found.version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(zipfile.ZipInfo(f"{name}-{found.version}.dist-info/METADATA"), said)
            wheel.writestr(zipfile.ZipInfo(f"{name}/__init__.py"), b'"""A package."""\n')
    said = "# rows\n\nReads rows of files, also of empty ones.\n\n```\nrows.read('a.csv')\n```\n\n" + "\n\n".join(SPOKEN)
    manual = pdfs.pdf([["rows, a manual", *wrap(spoken, 80)] for spoken in SPOKEN])
    with zipfile.ZipFile(folder / "rows-manual-1.0.0-docs.zip", "w") as pages:
        pages.writestr(zipfile.ZipInfo("manual.pdf"), manual)
    for name, root in (("rows-1.0.0.tgz", "package"), ("rows-1.0.0.crate", "rows-1.0.0")):
        (folder / name).write_bytes(
            gzip.compress(tar({f"{root}/README.md": said + name, f"{root}/docs/guide.md": said}), mtime=0)
        )


def tar(files: dict[str, str]) -> bytes:
    """A plain tar."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as to:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            to.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


def programs(folder: Path) -> None:
    """Programs in C, C++ and Rust, each of one file."""
    for suffix, text in PROGRAMS.items():
        for n in range(4):
            place = folder / f"sum-{n}" / f"main.{suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text.format(n=100 * (n + 1), m=n + 2))


def sets(folder: Path, samples: Path | None) -> None:
    """Two small sets: school mathematics, and arithmetic by a generator."""
    sums = folder / "mathematics/train-easy/arithmetic__add_or_sub.txt"
    for place in (sums.parent, folder / "gsm8k"):
        place.mkdir(parents=True)
    questions = [
        {
            "question": f"A box holds {n} pens. How many pens are in {n + 1} boxes?",
            "answer": f"{n}*{n + 1}=<<{n}*{n + 1}={n * (n + 1)}>>{n * (n + 1)}\n#### {n * (n + 1)}",
        }
        for n in range(2, 60)
    ]
    lines(folder / "gsm8k/train.jsonl", questions)
    sums.write_text("".join(f"What is {n} + {7 * n}?\n{8 * n}\n" for n in range(60)))
    web = [{"text": f"The first {n} numbers add up to ${n * (n + 1) // 2}$. {SPOKEN[n % 5]}"} for n in range(20)]
    lines(folder / "open-web-math/train.jsonl", web)
    if samples:
        shutil.copy(samples / "small-sets/gsm8k-train-50.jsonl", folder / "gsm8k/train.jsonl")
        shutil.copy(samples / "small-sets/deepmind-math-train-sample.txt", sums)


def rewritten(folder: Path, files: list[Path]) -> None:
    """Code as if a model had written it anew, with the ids of what it is made of."""
    rows = [
        {
            "content": f"# Rewritten.\n{path.read_text()}",
            "path": f"json/{path.name}",
            "repo_name": "python/json",
            "parent": swhid.swhid("cnt", swhid.content_id(path.read_bytes())),
        }
        for path in files
    ]
    lines(folder / "train.jsonl", rows)


def lines(place: Path, rows: list[dict[str, str]]) -> None:
    """Write JSON Lines."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))


def prose(folder: Path) -> None:
    """Questions with answers, articles and papers."""
    rows = []
    for n in range(1, 200, 4):
        rows.append(posts.question(n, f"<p>{n}: {SPOKEN[0]}</p>", OwnerUserId=n, Score=n % 5, AcceptedAnswerId=n + 2))
        rows += [
            posts.answer(n + k, n, f"<p>{SPOKEN[k]}</p><pre><code>step({n}, {k})</code></pre>", Score=k) for k in (1, 2, 3)
        ]
    posts.write(folder / "sites/toy.org/Posts.xml", rows)
    articles = [
        wikis.page(f"Number {n}", f"'''{n}''' is a [[number]]. {SPOKEN[n % 5]}\n== Use ==\n{SPOKEN[0]}") for n in range(60)
    ]
    (folder / "wikis").mkdir(parents=True)
    (folder / "wikis/toywiki-20240101-pages-articles-multistream.xml.bz2").write_bytes(wikis.multistream(articles, 20))
    (folder / "papers").mkdir()
    for n in range(30):
        body = (
            f"For $n = {n}$ we have seen that {SPOKEN[n % 5]} The sum is \\sums of \\emph{{all}} numbers up to ${n}$. % really"
        )
        made = papers.paper({"main.tex": papers.tex("\\input{body}", "\\def\\sums{the sum}"), "body.tex": body})
        (folder / f"papers/2401.{n:05}.gz").write_bytes(made)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    make(given[0], given[1] if len(given) > 1 and given[1].is_dir() else None)
