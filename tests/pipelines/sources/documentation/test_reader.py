"""Documentation in packages as registries pack them: what is a document, whose it is, and what the rest is counted as."""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pdfs
import pytest
import toolchains

from starmill.core.errors import UsageError
from starmill.pipelines.recipe import build
from starmill.pipelines.sources.documentation.reader import Documentation
from starmill.pipelines.sources.source import Entry, Limits

MANUAL = b".TH TOY 1\n.SH NAME\ntoy \\- plays\n"
PAGE = b"<html><body><nav>Home</nav><main><h1>Ball</h1><p>A ball.</p></main></body></html>"


def entries(source: Documentation, name: str, limits: Limits = Limits()) -> dict[bytes, Entry]:  # noqa: B008
    [found] = [r for r in source.plan() if r.name == name]
    given = list(source.read(found, limits)[1])
    assert all(e.kind == "documentation" and (e.data is None) == (e.reason is not None) for e in given)
    assert len({e.path for e in given}) == len(given)
    return {e.path: e for e in given}


def said(found: dict[bytes, Entry]) -> dict[bytes, tuple[str, str | bytes]]:
    return {
        p: (e.segments[0]["name"], e.data) if e.data is not None and e.segments else (e.reason or "", e.detail or "")
        for p, e in found.items()
    }


def tar(place: Path, files: dict[str, bytes]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place, "w:gz") as archive:
        for name, data in files.items():
            head = tarfile.TarInfo(name)
            head.size = len(data)
            archive.addfile(head, io.BytesIO(data))


def zipped(place: Path, files: dict[str, bytes]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def test_a_wheel_and_an_sdist_that_a_builder_made(tmp_path: Path) -> None:
    top = tmp_path / "p"
    (top / "docs").mkdir(parents=True)
    (top / "toy.py").write_text("x = 1\n")
    (top / "README.md").write_text("# Toy\n\nPlays.\n")
    (top / "docs/index.rst").write_text("Toy\n===\n")
    (top / "MANIFEST.in").write_text("recursive-include docs *\n")
    (top / "LICENSE").write_text("MIT License\n")
    (top / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "toy"\nversion = "1.0"\n'
        'readme = "README.md"\n[tool.setuptools]\npy-modules = ["toy"]\n'
    )
    (tmp_path / "in").mkdir()
    code = "import sys, setuptools.build_meta as b; to = sys.argv[1]; b.build_sdist(to); b.build_wheel(to)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "in"], cwd=top, check=True, capture_output=True)
    source = Documentation(folder=str(tmp_path / "in"))
    wheel = said(entries(source, "toy-1.0-py3-none-any"))
    assert wheel.pop(b"")[0] == "not_documentation"
    assert wheel == {b"toy-1.0.dist-info/METADATA": ("Markdown", b"# Toy\n\nPlays.\n")}
    sdist = said(entries(source, "toy-1.0"))
    with tarfile.open(tmp_path / "in/toy-1.0.tar.gz") as archive:
        files = sum(member.isfile() for member in archive)
    assert sdist.pop(b"") == ("not_documentation", f"{files - 4} files of the package are no documentation by their paths")
    assert sdist == {
        **dict.fromkeys((b"PKG-INFO", b"toy.egg-info/PKG-INFO"), ("Markdown", b"# Toy\n\nPlays.\n")),
        b"README.md": ("Markdown", b"# Toy\n\nPlays.\n"),
        b"docs/index.rst": ("reStructuredText", b"Toy\n===\n"),
    }


def test_the_layouts_of_registries(tmp_path: Path) -> None:
    tar(tmp_path / "npm/ball-1.0.0.tgz", {"package/package.json": b"{}", "package/README.md": b"# ball\n"})
    tar(tmp_path / "crates/ball-0.1.0.crate", {"ball-0.1.0/README.md": b"# ball\n", "ball-0.1.0/src/lib.rs": b"//! x\n"})
    zipped(
        tmp_path / "go/ball@v1.0.0.zip",
        {"example.com/ball@v1.0.0/README.md": b"# ball\n", "example.com/ball@v1.0.0/a.go": b"x"},
    )
    zipped(
        tmp_path / "maven/ball-1.0-javadoc.jar", {"META-INF/MANIFEST.MF": b"x", "com/Ball.html": PAGE, "index-all.html": PAGE}
    )
    source = Documentation(folder=str(tmp_path))
    for name, path in {
        "npm/ball-1.0.0": b"README.md",
        "crates/ball-0.1.0": b"README.md",
        "go/ball@v1.0.0": b"ball@v1.0.0/README.md",
    }.items():
        found = said(entries(source, name))
        assert found[b""] == ("not_documentation", "1 files of the package are no documentation by their paths")
        assert found[path] == ("Markdown", b"# ball\n") and len(found) == 2
    found = said(entries(source, "maven/ball-1.0-javadoc"))
    assert (
        found[b"com/Ball.html"] == ("Markdown", b"# Ball\n\nA ball.\n") and "2 files" in str(found[b""][1]) and len(found) == 2
    )


def test_a_debian_package(tmp_path: Path) -> None:
    if not shutil.which("dpkg-deb"):
        pytest.skip("NOT RUN: dpkg-deb, which packs Debian packages, is not here")
    for name, data in {
        "DEBIAN/control": b"Package: toy\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: x\n",
        "usr/share/doc/toy/README.Debian": b"A toy.\n",
        "usr/share/doc/toy/copyright": b"Copyright\n",
        "usr/share/doc/toy/changelog.gz": gzip.compress(b"1\n", mtime=0),
        "usr/share/doc/toy/html/index.html": PAGE,
        "usr/share/man/man1/toy.1.gz": gzip.compress(MANUAL, mtime=0),
    }.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    (tmp_path / "in").mkdir()
    command = ["dpkg-deb", "--root-owner-group", "-b", tmp_path / "tree", tmp_path / "in/toy_1_all.deb"]
    subprocess.run(command, check=True, capture_output=True)
    found = entries(Documentation(folder=str(tmp_path / "in")), "toy_1_all")
    assert said(found) == {
        b"": ("not_documentation", "3 files of the package are no documentation by their paths"),
        b"usr/share/doc/toy/README.Debian": ("Text", b"A toy.\n"),
        b"usr/share/doc/toy/html/index.html": ("Markdown", b"# Ball\n\nA ball.\n"),
        b"usr/share/man/man1/toy.1.gz": ("Markdown", b"# TOY(1)\n\n## NAME\n\ntoy - plays\n"),
    }
    stored = found[b"usr/share/man/man1/toy.1.gz"].origin
    assert stored and hashlib.sha1(stored).digest() == hashlib.sha1(gzip.compress(MANUAL, mtime=0)).digest(), (
        "the ids are the file's"
    )


def test_unpacked_documentation_counts_anywhere_where_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "site/api").mkdir(parents=True)
    (tmp_path / "site/api/ball.html").write_bytes(PAGE)
    (tmp_path / "site/notes.md").write_text("# Notes\n")
    (tmp_path / "site/a.js").write_text("x\n")
    (tmp_path / "site/README.rst").symlink_to("/etc/passwd")
    source = Documentation(packages="folders", folder=str(tmp_path))
    assert said(entries(source, "site")).keys() == {b"", b"README.rst"}
    everywhere = Documentation(packages="folders", folder=str(tmp_path), anywhere=True)
    assert said(entries(everywhere, "site")) == {
        b"": ("not_documentation", "1 files of the package are no documentation by their paths"),
        b"README.rst": ("symlink", "/etc/passwd"),
        b"api/ball.html": ("Markdown", b"# Ball\n\nA ball.\n"),
        b"notes.md": ("Markdown", b"# Notes\n"),
    }
    assert {r.fingerprint for r in source.plan()}.isdisjoint(r.fingerprint for r in everywhere.plan()), (
        "they give other records"
    )


def test_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "toy-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n\nToy\n")
    (metadata / "RECORD").write_text("toy-1.dist-info/METADATA,,\ntoy.py,,\n")
    (tmp_path / "toy.py").write_text("x = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), sysconfig.get_path("stdlib")])
    found = said(entries(Documentation(packages="installed", include=("pypi/*",)), "pypi/toy"))
    assert found[b"toy-1.dist-info/METADATA"] == ("reStructuredText", b"Toy\n") and "1 files" in str(found[b""][1])


def test_a_recipe_says_where_the_packages_are() -> None:
    for values, said in (
        ({"packages": "archives"}, r"sources\.docs\.folder=null: give the folder of the packages \(packages=archives\)"),
        ({"packages": "installed", "folder": "x"}, r"sources\.docs\.folder=x: leave it out, or give packages=archives"),
    ):
        with pytest.raises(UsageError, match=said):
            build({"workspace": "w", "sources": {"docs": {"kind": "documentation", **values}}})


def test_what_cannot_be_a_text_is_a_row_with_a_reason(tmp_path: Path) -> None:
    hostile = {
        "docs/deep.html": b"<div>" * 100_000,
        "docs/less.html": b"<" * 100_000,
        "docs/a.pdf": b"%PDF-1.7\n",
        "docs/bomb.txt.gz": gzip.compress(b"\0" * (20 << 20), mtime=0),
        "docs/cut.md.gz": gzip.compress(os.urandom(100))[:50],
        "docs/nul.md": b"a\0b",
        "docs/large.md": b"x" * 1_000_000,
        "docs/../../x.md": b"x",
        "man/man1/link.1": b".so man1/other.1\n",
        "man/man1/no.1": b"ELF\n",
        "toy.dist-info/METADATA": b"no headers\n",
        "src/a.c": b"int x;\n",
    }
    tar(tmp_path / "toy.tgz", hostile)
    found = said(entries(Documentation(folder=str(tmp_path)), "toy", Limits(max_file_bytes=1_000_000)))
    reasons = {p.decode(): r for p, (r, _) in found.items()}
    assert (
        reasons.pop("docs/less.html") == "Markdown" and reasons.pop("docs/../../x.md") == "Markdown"
    )  # ingest sees to the path
    assert reasons == {
        "": "not_documentation",
        "docs/deep.html": "too_deep",
        "docs/a.pdf": "pdf",
        "docs/bomb.txt.gz": "too_large",
        "docs/cut.md.gz": "corrupt_gzip",
        "docs/nul.md": "",
        "docs/large.md": "too_large",
        "man/man1/link.1": "no_text",
        "man/man1/no.1": "not_a_manual_page",
        "toy.dist-info/METADATA": "unreadable_document",
    }


def test_pdfs_are_read_where_that_is_asked(tmp_path: Path) -> None:
    toolchains.namespaces()
    stored = {"docs/a.pdf": pdfs.pdf([["A ball."]]), "docs/b.pdf.gz": gzip.compress(pdfs.pdf([["A box."]]), mtime=0)}
    tar(tmp_path / "toy.tgz", stored | {"src/a.c": b"x", "docs/scan.pdf": pdfs.pdf([[]]), "docs/secret.pdf": pdfs.ENCRYPTED})
    source = Documentation(folder=str(tmp_path), pdf=True)
    found = entries(source, "toy")
    assert said(found) == {
        b"docs/a.pdf": ("Text", b"A ball.\n\n"),
        b"docs/b.pdf.gz": ("Text", b"A box.\n\n"),
        b"docs/scan.pdf": ("no_text", ""),
        b"docs/secret.pdf": ("encrypted_pdf", "PDFium's error 4"),
        b"": ("not_documentation", "1 files of the package are no documentation by their paths"),
    }
    assert found[b"docs/b.pdf.gz"].origin == stored["docs/b.pdf.gz"], "the ids are the file's"
    [own] = source.plan()
    assert source.fingerprint(own) == own.fingerprint
    for other in (Documentation(folder=str(tmp_path)), Documentation(folder=str(tmp_path), pdf=True, max_pdf_pages=1)):
        assert other.plan()[0].fingerprint != own.fingerprint
    trusted = Documentation(folder=str(tmp_path), pdf=True, sandbox="limits")
    assert trusted.notes() and said(entries(trusted, "toy")) == said(found) and not source.notes()


def test_docstrings_are_documents_where_that_is_asked(tmp_path: Path) -> None:
    modules = {
        "toy/__init__.py": b'"""Plays."""\n',
        "toy/ball.py": b"x = 1\n",
        "toy/_own.py": b'"""Own."""\n',
        "toy/old.py": b"print 1\n",
    }
    tar(tmp_path / "toy.tgz", modules | {"README.md": b"# Toy\n", "data.bin": b"x"})
    source = Documentation(folder=str(tmp_path), docstrings=True)
    assert {path: found[0] for path, found in said(entries(source, "toy")).items()} == {
        b"": "not_documentation",
        b"README.md": "Markdown",
        b"toy/__init__.py": "Markdown",
        b"toy/ball.py": "no_text",
        b"toy/old.py": "does_not_compile",
    }
    assert entries(source, "toy")[b"toy/__init__.py"].data == b"# toy\n\nPlays.\n"
    plain = Documentation(folder=str(tmp_path))
    assert said(entries(plain, "toy")).keys() == {b"", b"README.md"}
    assert plain.plan()[0].fingerprint != source.plan()[0].fingerprint
