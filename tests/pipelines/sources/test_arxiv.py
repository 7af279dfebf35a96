"""Papers to records: how arXiv stores them, what is no paper, and damage."""

import bz2
import gzip
from pathlib import Path

import pytest
from papers import paper, tar, tex

from starmill.pipelines.sources.arxiv import Arxiv
from starmill.pipelines.sources.source import Entry, Limits

PAPERS = {
    "2301.00001.gz": paper(tex("Some text.")),
    "2301.00002.gz": paper({"main.tex": "\\documentclass{a}\\section{A}\\input{b}", "b.tex": "from b", "a.eps": "%!PS"}),
    "2301.00003.pdf": b"%PDF-1.5",
    "2301.00004.gz": paper({"top/paper.LTX": tex("In a folder."), "top/notes.txt": "\\section{No}"}),
    "2301.00005.gz": paper("%!PS-Adobe"),
    "2301.00006.gz": paper({"a.pdf": b"%PDF", "b.txt": "no"}),
    "2301.00007.gz": paper("\\documentclass{a} nothing"),
    "2301.00008.gz": paper(tex("caf\u00e9")),
    "hep-th9901001.gz": gzip.compress(tex("caf\u00e9 and more of what people say").encode("latin-1"), mtime=0),
}
TEXTS = {
    b"2301.00001": "\\section{One}\nSome text.\n",
    b"2301.00002": "\\section{A}from b\n",
    b"2301.00004": "\\section{One}\nIn a folder.\n",
    b"2301.00008": "\\section{One}\ncaf\u00e9\n",
    b"hep-th9901001": "\\section{One}\ncaf\u00e9 and more of what people say\n",
}
REASONS = {b"2301.00005": "no_source", b"2301.00006": "no_source", b"2301.00007": "no_section"}


def records(place: Path, **limits: int) -> list[Entry]:
    source = Arxiv(folder=str(place))
    found = [entry for r in source.plan() for entry in source.read(r, Limits(**limits))[1]]
    assert sum(source.count(r, Limits()).files for r in source.plan()) == sum(bool(e.path) for e in found)
    return found


def test_a_folder_of_papers(tmp_path: Path) -> None:
    for name, data in PAPERS.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.tex").write_text(tex("plain"))
    (tmp_path / "more/b.tar.gz").write_bytes(paper({"b.tex": tex("packed")}))
    (tmp_path / "more/c.tar").write_bytes(tar({"c.tex": tex("a tar")}))
    (tmp_path / "more/link.tex").symlink_to("a.tex")
    source = Arxiv(folder=str(tmp_path))
    assert {r.name: r.left_out for r in source.inventory()} == {
        tmp_path.name: "",
        "more": "",
        "2301.00003.pdf": "not_a_paper",
        "more/link.tex": "symlink",
    }
    found = records(tmp_path)
    assert {e.path: e.data.decode() for e in found if e.data} == TEXTS | {
        b"a": "\\section{One}\nplain\n",
        b"b": "\\section{One}\npacked\n",
        b"c": "\\section{One}\na tar\n",
    }
    assert {e.path: e.reason for e in found if e.reason} == REASONS and {e.kind for e in found} == {"arxiv"}


def test_a_tar_of_arxivs(tmp_path: Path) -> None:
    (tmp_path / "arXiv_src_2301_001.tar").write_bytes(tar({f"2301/{name}": data for name, data in reversed(PAPERS.items())}))
    [planned] = Arxiv(folder=str(tmp_path)).plan()
    assert planned.name == "arXiv_src_2301_001"
    found = records(tmp_path)
    assert [e.path for e in found] == sorted(e.path for e in found) and len(found) == len(PAPERS)
    assert {e.path: e.data.decode() for e in found if e.data} == TEXTS
    assert {e.path: e.reason for e in found if e.reason} == REASONS | {b"2301.00003.pdf": "no_source"}


BIG = paper(tex("word " * 5000))
DAMAGED = {
    "cut": (PAPERS["2301.00001.gz"][:-9], "truncated_paper"),
    "wrong checksum": (PAPERS["2301.00001.gz"][:-8] + bytes(8), "corrupt_paper"),
    "tar cut": (gzip.compress(tar({"a.tex": tex("a"), "b.tex": "x" * 3000})[:3000]), "corrupt_paper"),
    "tar in a cut gzip": (paper({"a.tex": tex("a"), "b.txt": "x" * 3000})[:-9], "corrupt_paper"),
    "empty": (b"", "no_source"),
    "binary": (bytes(range(256)) * 9, "undecodable"),
    "bzip2": (bz2.compress(tex("b").encode()), None),
    "too large": (BIG, "too_large"),
    "a file too large": (paper({"a.tex": tex("word " * 5000)}), "corrupt_paper"),
    "macros": (paper(tex("\\a" * 5000, "\\def\\a{" + "x" * 100 + "}")), "too_large"),
    "more than is held": (paper({"a.tex": tex("a")} | {f"{n}.tex": "x" * 18_000 for n in range(10)}), "too_large"),
    "too many files": (paper({"a.tex": tex("a")} | {f"{n}.tex": "x" for n in range(2000)}), "too_many_files"),
    "a bomb": (gzip.compress(bytes(300 << 20), 9), "too_large"),
    "names that lead out": (paper({"../a.tex": tex("a"), "/etc/a.tex": tex("b")}), None),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_paper_is_a_row(tmp_path: Path, case: str) -> None:
    data, reason = DAMAGED[case]
    (tmp_path / "a.gz").write_bytes(data)
    (tmp_path / "b.gz").write_bytes(PAPERS["2301.00001.gz"])
    bad, good = records(tmp_path, max_file_bytes=20_000)
    assert (bad.path, bad.reason) == (b"a", reason) and good.data and (bad.data is None) == (reason is not None)


def test_a_cut_tar_of_arxivs(tmp_path: Path) -> None:
    whole = tar({f"2301/{name}": data for name, data in PAPERS.items()})
    (tmp_path / "arXiv_src_2301_001.tar").write_bytes(whole[:1600])
    found = records(tmp_path)
    assert {e.path: e.data.decode() for e in found if e.data}.items() <= TEXTS.items()
    assert [(e.path, e.reason) for e in found if e.reason] == [(b"", "truncated_archive"), (b"2301.00002", "truncated")]
