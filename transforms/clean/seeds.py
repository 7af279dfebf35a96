"""Which documented functions are seeds: StarCoder2-Instruct's static filters (starcoder2-self-align, seed_gathering), each with a reason.

Words and imports are looked for as it does, as parts of the text in lower case: `bug` is in "debug", too. `whole_words` mends that. What
a function needs of its file beside the imports is, there, found by the type checker alone; no checker is asked about other languages
than Python, so that here the names decide (sources/functions/extract.py). Its benchmarks are `release.benchmarks`.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from starmill.core.names import AtLeast1
from starmill.transforms.step import Split, split


@dataclass(frozen=True)
class Seeds:
    """Drops functions that are no seeds; the detail is the word, the name or the number that decided.

    >>> text = 'def f(x):\\n    \"\"\"It is x.\"\"\"\\n    return x  # TODO\\n'
    >>> marks = [{"role": "documentation", "name": None, "start": 14, "end": 28}]
    >>> found = Seeds()(pa.record_batch({"content": [text], "language": ["Python"], "segments": [marks]}))
    >>> found.reasons, found.details
    (('unfinished_word',), ('todo',))
    """

    reads: ClassVar[tuple[str, ...]] = ("content", "language", "segments")

    words: tuple[str, ...] = ("todo", "fixme", "bug")  # of what is not finished; in lower case
    whole_words: bool = False  # whether `bug` is not in "debug", nor `import os` in "import oscar"
    modules: tuple[str, ...] = (  # after `import ` or `from `: what a test in a sandbox can hardly check
        "argparse",
        "os",
        "subprocess",
        "sys",
        "setuptools",
        "distutils",
        "matplotlib",
        "seaborn",
    )
    max_lines: AtLeast1 = 150  # its imports counted
    no_parameters: bool = False  # whether a function without any may be a seed
    any_quotes: bool = False  # whether a docstring may have other quotes than three double ones
    standalone: bool = True  # whether one that needs more of its file, or other files of its program, is dropped
    name: str = "seeds"  # in `dropped/`; leave it

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Decide over each row."""
        columns = [block.column(name).to_pylist() for name in self.reads]
        found = [self.judge(*row) for row in zip(*columns, strict=True)]
        return split(block, [reason for reason, _ in found], [said for _, said in found])

    def judge(self, text: str, language: str | None, segments: list[dict[str, Any]] | None) -> tuple[str | None, str | None]:
        """Return the reason and what it is about, or (None, None)."""
        marks = segments or []
        lower = text.lower()
        if word := self._words.search(lower):
            return "unfinished_word", word[0]
        if module := self._imports.search(lower):
            return "unwanted_import", module[0]
        if (lines := len(text.rstrip("\n").split("\n"))) > self.max_lines:
            return "too_many_lines", str(lines)
        if not self.no_parameters and any((m["role"], m["name"]) == ("parameters", "0") for m in marks):
            return "no_parameters", None
        said = next((text[m["start"] : m["end"]] for m in marks if m["role"] == "documentation"), "")
        if not self.any_quotes and language == "Python" and not said.startswith('"""'):
            return "docstring_quotes", said[:3]
        if self.standalone:
            for role, reason in (("own_import", "imports_its_program"), ("needs", "needs_its_file")):
                if needed := next((m["name"] for m in marks if m["role"] == role), None):
                    return reason, needed[:200]
        return None, None

    @functools.cached_property
    def _words(self) -> re.Pattern[str]:
        return self._any(re.escape(word) for word in self.words)

    @functools.cached_property
    def _imports(self) -> re.Pattern[str]:
        return self._any(f"(?:import|from) {re.escape(module)}" for module in self.modules)

    def _any(self, patterns: Iterable[str]) -> re.Pattern[str]:
        found = "|".join(patterns) or "(?!)"
        return re.compile(rf"\b(?:{found})\b" if self.whole_words else found)
