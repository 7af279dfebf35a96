"""`starmill serve` refuses in one line, before PyTorch is imported; that it serves is tested in tests/end_to_end/test_serving.py."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hostile_models
import pytest

from starmill.cli import __main__ as cli

# (command line, words of the one line), below a folder that `place` fills.
WRONG = [
    ("serve", "give a model's folder, or --engine openai:URL"),
    ("serve whole --engine openai:http://127.0.0.1:1", "not both"),
    ("serve whole --fim-tokens", "--fim-tokens --engine"),
    ("serve --engine openai:http://127.0.0.1:1 --device cpu", "--device"),
    ("serve --engine openai:http://127.0.0.1:1 --drafts 3", "--drafts leave them out"),
    ("serve --engine vllm:http://127.0.0.1:1", "--engine openai:"),
    ("serve --engine openai:http://127.0.0.1:1 --engine-key-file words", "words no key in it"),
    ("serve none", "none no config.json"),
    ("serve pickled", "pickled no model.safetensors pickled weights are not loaded"),
    ("serve larger", "larger the model has 9 ids tokenizer.json"),
    ("serve whole --port 70000", "--port 70000"),
    ("serve whole --rows 0", "--rows"),
    ("serve whole --queue -1", "--queue"),
    ("serve whole --drafts -1", "--drafts"),
    ("serve whole --longest 0", "--longest"),
    ("serve whole --timeout nan", "--timeout nan"),
    ("serve whole --seed -1", "--seed"),
    ("serve whole --dtype int8", "--dtype int8"),
    ("serve whole --device tpu", "--device tpu"),
    ("serve whole --host 0.0.0.0", "--host '0.0.0.0' --api-key-file"),
    ("serve whole --host ::", "--host '::' --api-key-file"),
    ("serve whole --host example.com", "--host 'example.com' --api-key-file"),
    ("serve whole --host 'no host' --api-key-file key", "--host 'no host' no address"),
    ("serve whole --api-key-file none", "none"),
    ("serve whole --api-key-file words", "words no key in it"),
    ("serve whole --served-name ''", "--served-name an empty text"),
    ("serve template", "template no chat template"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    here = tmp_path_factory.mktemp("serve")
    hostile_models.whole(here / "whole")
    hostile_models.hostile(here)
    (hostile_models.whole(here / "template") / "chat_template.jinja").write_text("{% for %}")
    (here / "key").write_text("s3cret")
    (here / "words").write_text("two words")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        yield here


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[line for line, _ in WRONG])
def test_wrong_usage(line: str, words: str, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = cli.main(shlex.split(line))
    told = capfd.readouterr()
    assert status in (1, 2) and len(told.err.splitlines()) == 1 and told.err.startswith("starmill: "), told
    assert not told.out and [word for word in words.split() if word not in told.err] == [], told.err


def test_what_is_refused_does_not_load_torch(place: Path) -> None:
    lines = [line for line, _ in WRONG]
    code = f"import shlex, sys\nfrom starmill.cli.__main__ import main\nfor line in {lines}:\n"
    code += "    assert main(shlex.split(line)) in (1, 2), line\n    assert 'torch' not in sys.modules, line"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and len(done.stderr.splitlines()) == len(lines), done.stderr[-2000:]
