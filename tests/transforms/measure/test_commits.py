"""The language of a commit is that of the file that it changed."""

import pyarrow as pa
import pytest

from starmill.transforms.measure.commits import ChangedLanguage
from starmill.transforms.measure.language import DetectLanguage

FILES = {
    "/src/a.py": "x = 1\n",
    "/Makefile": "all:\n\tcc a.c\n",
    "/Dockerfile": "FROM scratch\n",
    "/vendor/lib.h": "@interface A\n@end\n",
    "/no_extension": "words",
    "/data.unknown-extension": "1",
}


@pytest.mark.parametrize("path", FILES)
def test_as_of_the_file_itself(path: str) -> None:
    code = DetectLanguage()(pa.record_batch({"path": [path], "content": [FILES[path]]})).to_pylist()[0]
    content = f"before\nsubject\n{FILES[path]}"
    segments = [
        {"role": "before", "name": "/other.rb", "start": 0, "end": 6},
        {"role": "after", "name": path, "start": 15, "end": len(content)},
    ]
    found = ChangedLanguage()(pa.record_batch({"content": [content], "segments": [segments]})).to_pylist()[0]
    assert {name: found[name] for name in ChangedLanguage.adds.names} == {
        name: code[name] for name in ChangedLanguage.adds.names
    }


def test_a_record_that_is_no_commit_has_none() -> None:
    block = pa.record_batch([pa.array(["x"]), pa.nulls(1, pa.list_(pa.struct([])))], names=["content", "segments"])
    assert ChangedLanguage()(block).column("language").to_pylist() == [None]
    assert ChangedLanguage().material() == DetectLanguage().material()
