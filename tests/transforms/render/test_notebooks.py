"""The golden text of each form of a notebook, and its fields read back from it."""

import re

import pyarrow as pa

from starmill.core.document import Special
from starmill.transforms.render import notebooks
from starmill.transforms.render.code import Format, text

TURNS = [
    ("markdown", "Say hello\nto <EMAIL>"),
    ("code", "print('<jupyter_output>')"),
    ("output", "hi"),
    ("markdown", "Twice"),
    ("code", "f()"),
    ("output", ""),
]


def block() -> pa.RecordBatch:
    content, segments = "", []
    for role, said in TURNS:
        segments.append({"role": role, "name": None, "start": len(content), "end": len(content) + len(said)})
        content += f"{said}\n" if said else ""
    at = content.index("<EMAIL>")
    row = {
        "kind": "notebook",
        "repo_name": "r",
        "path": "/a.ipynb",
        "content": content,
        "content_id": "0" * 40,
        "language": "Python",
    }
    return pa.RecordBatch.from_pylist(
        [row | {"segments": segments, "redactions": [{"kind": "EMAIL", "start": at, "end": at + 7}]}]
    )


def test_turns() -> None:
    (made,) = notebooks.turns([block()], Format())
    golden = (
        "<jupyter_start><jupyter_text>Say hello\nto <EMAIL><jupyter_code>print('<jupyter_output>')<jupyter_output>hi"
        "<jupyter_text>Twice<jupyter_code>f()<jupyter_output><empty_output>"
    )
    assert text(made) == golden and (made.kind, made.language, made.files[0].path) == ("notebook", "Python", "a.ipynb")
    sentinels = [piece.token for piece in made.pieces if isinstance(piece, Special)]
    assert sentinels.count("<jupyter_output>") == 2 and "<EMAIL>" in sentinels, "what a person typed is text"
    once = golden.replace("print('<jupyter_output>')", "print()")
    read = re.findall("<jupyter_(text|code|output)>(.*?)(?=<jupyter_|$)", once, re.S)
    assert [said.replace("<empty_output>", "") for _, said in read] == [
        said.replace("'<jupyter_output>'", "") for _, said in TURNS
    ]


def test_scripts() -> None:
    (made,) = notebooks.scripts([block()], Format())
    assert text(made) == "<jupyter_script>" + block().column("content")[0].as_py()
    assert [piece.token for piece in made.pieces if isinstance(piece, Special)] == ["<jupyter_script>", "<EMAIL>"]


def test_a_script_behind_what_is_said_of_its_data() -> None:
    said = ["Shapes\nOf <EMAIL>\nKaggle dataset identifier: ann/shapes", "Forms\nKaggle dataset identifier: bob/forms"]
    content, segments = "", []
    for role, words in (*(("markdown", words) for words in said), ("script", "import os\n")):
        segments.append({"role": role, "name": None, "start": len(content), "end": len(content) + len(words)})
        content += words + "\n" * (role == "markdown")
    at = content.index("<EMAIL>")
    row = {**block().to_pylist()[0], "kind": "kaggle", "content": content, "segments": segments}
    row["redactions"] = [{"kind": "EMAIL", "start": at, "end": at + 7}]
    (made,) = notebooks.described([pa.RecordBatch.from_pylist([row])], Format())
    golden = f"<jupyter_start><jupyter_text>{said[0]}<jupyter_text>{said[1]}<jupyter_script>import os\n"
    assert text(made) == golden and made.kind == "kaggle"
    read = re.fullmatch("<jupyter_start>((?:<jupyter_text>[^<]*(?:<EMAIL>[^<]*)?)+)<jupyter_script>(.*)", golden, re.S)
    assert read and read[1].split("<jupyter_text>")[1:] == said and read[2] == "import os\n"
    alone = {**row, "segments": segments[2:], "redactions": []}
    without = {**row, "segments": None, "content": "import os\n", "redactions": []}
    for one, wanted in ((alone, "import os\n"), (without, "import os\n")):
        (made,) = notebooks.described([pa.RecordBatch.from_pylist([one], pa.RecordBatch.from_pylist([row]).schema)], Format())
        assert text(made) == f"<jupyter_script>{wanted}"
