"""Rows of RepoBench, CrossCodeEval and LiveCodeBench by their documented fields, of our own writing; their real files could not be had."""

import base64
import json
import pickle
import zlib
from typing import Any

REPO = {
    "repo_name": "toy/repo",
    "file_path": "a.x",
    "context": [{"identifier": "twice", "path": "b.x", "snippet": "the text of twice"}],
    "import_statement": "import b",
    "cropped_code": "x = 1",
    "all_code": "",
    "next_line": "y = b.twice(x)",
    "gold_snippet_index": 0,
    "created_at": "2023-11-01",
    "level": "2k",
}
STATEMENTS = {
    "python": "return self.rows.get(\n    name, 0)",
    "java": "return this.rows.get(name);",
    "typescript": "return this.rows.get(name);",
    "csharp": "return rows.Get(name);",
}


def hidden(tests: list[dict[str, str]], protocol: int = 4) -> str:
    """Tests as LiveCodeBench hides them."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests), protocol))).decode()


def contest(name: str, date: str, called: str = "") -> dict[str, Any]:
    """A problem: the sum of two numbers, read or given."""
    given = ("[1, 2]\n3", "[4, 5]\n6") if called else ("1 2\n", "4 5\n")
    wanted = ("[[4, 5]]", "[[10, 11]]") if called else ("3", "9")
    kind = "functional" if called else "stdin"
    tests = [{"input": a, "output": b, "testtype": kind} for a, b in zip(given, wanted, strict=True)]
    return {
        "question_title": "Sum",
        "question_content": "Add.",
        "platform": "toy",
        "question_id": name,
        "contest_id": "c",
        "contest_date": f"{date}T00:00:00",
        "starter_code": f"class Solution:\n    def {called}(self, xs, y):\n        " if called else "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(tests[:1]),
        "private_test_cases": hidden(tests[1:]),
        "metadata": json.dumps({"func_name": called} if called else {}),
    }


def rows() -> dict[str, list[dict[str, Any]]]:
    """The rows of each file."""
    found: dict[str, list[dict[str, Any]]] = {}
    for language in ("python", "java"):
        for split in ("cross_file_first", "cross_file_random", "in_file"):
            found[f"repobench/{language}_{split}.jsonl"] = [REPO, REPO]
    for language, wanted in STATEMENTS.items():
        sign = "#" if language == "python" else "//"
        found[f"crosscodeeval/{language}/line_completion_rg1_bm25.jsonl"] = [
            {
                "prompt": "def get(self, name):\n    ",
                "groundtruth": wanted,
                "right_context": "",
                "metadata": {"task_id": f"toy/{language}/{at}", "repository": "toy", "file": "a"},
                "crossfile_context": {"text": f"{sign} rows is a table\n", "list": []},
            }
            for at in range(2)
        ]
    days = ("2023-07-01", "2024-02-01", "2024-06-30", "2024-08-01", "2024-12-31", "2025-02-01")
    for number, day in enumerate(days, 1):
        name = f"test{number if number > 1 else ''}"
        called = "both" if number % 2 else ""
        found[f"livecodebench/{name}.jsonl"] = [contest(f"{name}-0", day, called), contest(f"{name}-1", "2022-01-01")]
    found["livecodebench/test5.jsonl"].append(contest("test5-2", "2025-01-31"))
    return found
