"""Notebooks, held against nbformat's own reading of them and jupytext's scripts."""

import json
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from samples import sample

from starmill.core import swhid
from starmill.core.dataset import Workspace
from starmill.pipelines.recipe import build
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.notebooks import NOTEBOOK, SCRIPT, Made, of_file, records
from starmill.pipelines.sources.source import Entry

PYTHON = {"language_info": {"name": "python", "file_extension": ".py"}, "kernelspec": {"name": "python3", "language": "python"}}


def cell(type_: str, source: Any, **more: Any) -> dict[str, Any]:
    outputs = {"outputs": [], "execution_count": None} if type_ == "code" else {}
    return {"cell_type": type_, "metadata": {}, "source": source, **outputs, **more}


def book(*cells: Any, metadata: Any = PYTHON, **more: Any) -> str:
    return json.dumps({"cells": [*cells], "metadata": metadata, "nbformat": 4, "nbformat_minor": 4} | more)


def both(text: str) -> tuple[Made, Made]:
    one, other = records(text, (NOTEBOOK, SCRIPT))
    return one, other


def spans(made: Made) -> list[tuple[str, str]]:
    return [(s["role"], made.text[s["start"] : s["end"]]) for s in made.segments]


def stream(text: Any) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": text}]


def test_cells_by_turns() -> None:
    made, script = both(
        book(
            cell("code", "import os"),
            cell("markdown", ["# Files\n", "of a folder"]),
            cell("markdown", "and below"),
            cell("raw", "\\newpage"),
            cell("code", "print(1)", outputs=stream("1\n")),
            cell(
                "code", "os.listdir()", outputs=[{"output_type": "execute_result", "data": {"text/plain": ["['a', ", "'b']"]}}]
            ),
            cell("code", "   "),
            cell("markdown", "Nothing."),
            cell("code", "x = 1"),
            cell("markdown", "The end."),
        )
    )
    assert spans(made) == [
        ("markdown", "# Files\nof a folder\n\nand below"),
        ("code", "print(1)\nos.listdir()"),
        ("output", "['a', 'b']"),
        ("markdown", "Nothing."),
        ("code", "x = 1"),
        ("output", ""),
    ]
    assert script.text == (
        "import os\n\n# # Files\n# of a folder\n\n# and below\n\n# \\newpage\n\n"
        "print(1)\n\nos.listdir()\n\n# Nothing.\n\nx = 1\n\n# The end.\n"
    )
    assert [s["name"] for s in script.segments] == ["Python"]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (stream("a" * 1000), "a" * 1000),
        (stream("a" * 1001), "a" * 1000 + "[...]"),
        (stream(["one\n", "two\n"]), "one\ntwo"),
        ([{"output_type": "display_data", "data": {"image/png": "iVBOR", "text/plain": "<Figure>"}}], ""),
        ([{"output_type": "error", "ename": "E", "evalue": "", "traceback": ["\x1b[31mE"]}], ""),
        ([{"output_type": "stream", "text": [1]}], ""),
        (["text"], ""),
        ({}, ""),
        ([{"output_type": "error"}, *stream("later")], ""),
    ],
)
def test_the_first_output(outputs: Any, said: str) -> None:
    made, _ = both(book(cell("markdown", "m"), cell("code", "c", outputs=outputs)))
    assert spans(made)[2] == ("output", said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '"a"',
        "{",
        "{}",
        '<<<<<<< HEAD\n{"cells": []}\n=======',
        json.dumps({"worksheets": [None], "cells": 1})[:-1],
        "[" * 100_000,
        '{"cells": ' + "[" * 100_000,
        book(1),
        book(None),
        book(cell("code", 3)),
        book(cell("code", [1, 2])),
        book(cell("markdown", None)),
        book(cell("markdown", {"a": "b"})),
        '{"cells": [' + ", ".join(['{"cell_type": "code", "source": ""}'] * 20_001) + "]}",
        '{"cells": 1' + "0" * 5000 + "}",
    ],
)
def test_what_cannot_be_read_says_why(text: str) -> None:
    for made in both(text):
        assert made.reason == "unreadable_notebook" and made.detail and not made.text


@pytest.mark.parametrize(
    "metadata", [None, [], {}, {"kernelspec": None, "language_info": []}, {"language_info": {"name": 3}}, 7]
)
def test_no_language_is_a_reason(metadata: Any) -> None:
    made, script = both(book(cell("markdown", "m"), cell("code", "c"), metadata=metadata))
    assert (made.reason, script.reason) == ("not_python", "unknown_notebook_language")


def test_what_holds_nothing_is_a_reason() -> None:
    assert [made.reason for made in both(book())] == ["no_text_before_code", "no_code"]
    assert [made.reason for made in both(book(cell("markdown", "m")))] == ["no_text_before_code", "no_code"]
    assert [made.reason for made in both(book(cell("code", "c")))] == ["no_text_before_code", None]


ODD = {
    "a byte order mark": b"\xef\xbb\xbf" + book(cell("markdown", "m"), cell("code", "c")).encode(),
    "line ends of Windows": json.dumps(json.loads(book(cell("markdown", "m"), cell("code", "c"))), indent=1)
    .replace("\n", "\r\n")
    .encode(),
    "no format": json.dumps({"cells": [cell("markdown", "m"), cell("code", "c")], "metadata": PYTHON}).encode(),
    "a format that is a text": book(cell("markdown", "m"), cell("code", "c"), nbformat="4").encode(),
    "a format of the future": book(cell("markdown", "m"), cell("code", "c"), nbformat=5, nbformat_minor=99).encode(),
    "one id twice": book(cell("markdown", "m", id="a"), cell("code", "c", id="a")).encode(),
    "an output of megabytes": book(
        cell("markdown", "m"),
        cell("code", "c", outputs=[{"output_type": "display_data", "data": {"image/png": "iVBOR" * 10**6}}]),
    ).encode(),
    "widgets": book(cell("markdown", "m"), cell("code", "c"), metadata={**PYTHON, "widgets": {"state": [None, {}]}}).encode(),
    "a cell without a source": book(cell("markdown", "m"), cell("code", "c"), {"cell_type": "code", "outputs": []}).encode(),
    "sheets": json.dumps(
        {"worksheets": [{"cells": [cell("markdown", "m")]}, {"cells": [cell("code", "c")]}], "metadata": PYTHON}
    ).encode(),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_notebooks_are_read(case: str) -> None:
    """Forms that nbformat or jupytext stumble over, and nothing of which is in doubt."""
    made = of_file(Entry(b"/a.ipynb", ODD[case]), (NOTEBOOK, SCRIPT))
    assert [(entry.kind, entry.data) for entry in made] == [(NOTEBOOK, b"m\nc\n"), (SCRIPT, b"# m\n\nc\n")]
    assert all(entry.origin == ODD[case] for entry in made), "its ids are the file's"


def test_odd_texts_are_text() -> None:
    made, script = both(book(cell("markdown", "half \ud800"), cell("code", "a\r\nb\r\n", id=7, attachments=[])))
    assert spans(made)[:2] == [("markdown", "half ?"), ("code", "a\nb")] and script.text == "# half ?\n\na\nb\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("%matplotlib inline\nx = 1", "# %matplotlib inline\nx = 1"),
        ("if x:\n    !ls -l\n", "if x:\n#     !ls -l"),
        ("np.array?\n?np\nx = a if b else c", "# np.array?\n# ?np\nx = a if b else c"),
        ("%%bash\nls\n", "# %%bash\n# ls"),
        ("%%time\nx = 1", "# %%time\nx = 1"),
        ('s = """\n%s\n!x\n"""\n!ls', 's = """\n%s\n!x\n"""\n# !ls'),
        ("x = 5\n% y\n!= 3", "x = 5\n% y\n!= 3"),
    ],
)
def test_lines_of_ipython_are_comments(source: str, said: str) -> None:
    assert both(book(cell("code", source)))[1].text == said + "\n"


@pytest.mark.parametrize(
    "name",
    ["jupytext-jupyter", "jupytext-text_outputs_and_images", "jupytext-Notebook_with_more_R_magic_111", "jupytext-ir_notebook",
     "jupytext-sample_bash_notebook", "nbformat-test2", "nbformat-test3", "nbformat-test4.5"],
)  # fmt: skip
def test_real_ones_hold_what_nbformat_and_jupytext_read(name: str) -> None:
    text = (sample("notebooks") / f"{name}.ipynb").read_text("utf-8-sig")
    made, script = both(text)
    read = nbformat.reads(text, as_version=4)
    sources = [re.sub(r"\s+", " ", c.source).strip() for c in read.cells]
    if made.reason is None:
        for role, said in spans(made):
            if role != "output":
                assert re.sub(r"\s+", " ", said).strip() in " ".join(s for s in sources if s), said
        assert {s for c, s in zip(read.cells, sources, strict=True) if c.cell_type == "code"} >= {
            re.sub(r"\s+", " ", said).strip() for role, said in spans(made) if role == "code" and "\n" not in said
        }
    read.metadata.setdefault("language_info", {"name": "python", "file_extension": ".py"})
    oracle = jupytext.writes(
        read, fmt={"extension": read.metadata.language_info.get("file_extension", ".py"), "format_name": "light"}
    )
    lines = [line for line in oracle.split("\n") if line.strip() and not line.lstrip().startswith(("#", "+", "-"))]
    ours = [line for line in script.text.split("\n") if line.strip() and not line.lstrip().startswith(("#", "+", "-"))]
    assert [line for line in ours if line != "ls" or name != "nbformat-test2"] == lines, (
        "a bare `ls` is IPython's where no variable has the name; jupytext guesses"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jupytext-raw_cell_with_non_dict_yaml_content", ["no_text_before_code", None]),
        ("nbformat-invalid", ["not_python", "unknown_notebook_language"]),
        ("nbformat-test3_no_worksheets", ["unreadable_notebook"] * 2),
        ("nbformat-v4_5_invalid_metadata", ["not_python", "unknown_notebook_language"]),
    ],
)
def test_real_ones_that_are_broken_say_why(name: str, expected: list[str | None]) -> None:
    assert [made.reason for made in both((sample("notebooks") / f"{name}.ipynb").read_text("utf-8"))] == expected


@pytest.mark.parametrize("version", [2, 3])
def test_cells_of_older_formats(version: int) -> None:
    end = "\n" if version == 3 else ""  # format 2 has lines without their ends
    cells = [
        {"cell_type": "heading", "level": 2, "source": [f"Areas{end}", "of shapes"]},
        {"cell_type": "html", "source": "<b>bold</b>"},
        {"cell_type": "heading", "level": 9, "source": "Deep"},
        {
            "cell_type": "code",
            "language": "python",
            "input": [f"w = 3{end}", "w * w"],
            "outputs": [{"output_type": "pyout", "prompt_number": 1, "text": ["9"]}],
        },
        {
            "cell_type": "code",
            "language": "python",
            "input": "w /",
            "outputs": [{"output_type": "pyerr", "traceback": ["\x1b[31m"]}],
        },
    ]
    made, script = both(json.dumps({"nbformat": version, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}))
    assert spans(made) == [
        ("markdown", "## Areas of shapes\n\n<b>bold</b>\n\n# Deep"),
        ("code", "w = 3\nw * w\nw /"),
        ("output", ""),
    ]
    assert script.text == "# ## Areas of shapes\n\n# <b>bold</b>\n\n# # Deep\n\nw = 3\nw * w\n\nw /\n"
    first, _ = both(json.dumps({"nbformat": version, "metadata": {}, "worksheets": [{"cells": cells[:4]}]}))
    assert spans(first)[2] == ("output", "9")


@pytest.mark.parametrize(
    ("metadata", "name", "mark"),
    [
        ({"kernelspec": {"name": "ir", "display_name": "R"}}, "R", "#"),
        ({"kernelspec": {"name": "julia-1.9"}}, "Julia", "#"),
        ({"kernelspec": {"name": "x", "language": "scala"}}, "Scala", "//"),
        ({"kernelspec": {"name": "sos", "language": "sos"}}, "Python", "#"),
        ({"language_info": {"name": "C++17"}}, "C++", "//"),
        ({"language_info": {"name": "haskell", "file_extension": [".hs"]}}, "Haskell", "--"),
        ({"kernelspec": {"name": "conda-env-x-py"}}, "Python", "#"),
    ],
)
def test_kernels_of_other_languages(metadata: dict[str, Any], name: str, mark: str) -> None:
    made, script = both(book(cell("markdown", "m"), cell("code", "%x = c"), metadata=metadata))
    assert [s["name"] for s in script.segments] == [name]
    assert script.text == f"{mark} m\n\n{'# ' if name == 'Python' else ''}%x = c\n", "lines of IPython are Python's alone"
    assert made.reason == ("not_python" if name != "Python" or "sos" in str(metadata) else None)


def test_they_are_milled_to_documents_and_a_licence_beside_them_is_theirs(tmp_path: Path) -> None:
    good = book(
        cell("markdown", "Add two numbers, then print the sum of both."), cell("code", "print(1 + 2)", outputs=stream("3"))
    )
    for name, licence in (("free", "MIT License"), ("closed", "GNU General Public License v3.0 only, GPL-3.0-only")):
        (tmp_path / "dump" / name).mkdir(parents=True)
        (tmp_path / "dump" / name / "LICENSE").write_text(f"SPDX-License-Identifier: {licence.split()[-1]}\n{licence}\n")
        (tmp_path / "dump" / name / "a.ipynb").write_text(good.replace("sum of both", f"sum of both, {name}"))
    (tmp_path / "dump/free/LICENSE").write_text("SPDX-License-Identifier: MIT\n")
    (tmp_path / "dump/free/broken.ipynb").write_text("{")
    sources = {"here": {"kind": "folders", "roots": [str(tmp_path / "dump")]}}
    ingest = {"notebooks": [NOTEBOOK, SCRIPT]}
    options = build({"workspace": str(tmp_path / "w"), "sources": sources, "ingest": ingest, "tokenizer": {"vocab_size": 300}})
    for stage in ("ingest", "measure", "curate", "dedup", "release"):
        run_stage(stage, options, choose((), workers=1), quiet=True)
    workspace = Workspace(options.workspace)
    rows = workspace.table("dataset/part-00000.parquet").to_pylist()
    kept = {row["kind"]: row for row in rows if row["kind"] != "code"}
    assert {(row["kind"], row["repo_name"], row["language"], row["license_type"]) for row in kept.values()} == {
        (NOTEBOOK, "free", "Python", "permissive"),
        (SCRIPT, "free", "Python", "permissive"),
    }
    assert {row["content_id"] for row in kept.values()} == {swhid.content_id((tmp_path / "dump/free/a.ipynb").read_bytes())}
    lost = workspace.table("dropped/ingest/part-00000.parquet").to_pylist()
    assert sorted((row["kind"], row["path"], row["reason"]) for row in lost) == [
        (NOTEBOOK, "/broken.ipynb", "unreadable_notebook"),
        (SCRIPT, "/broken.ipynb", "unreadable_notebook"),
    ]
