"""Lines that need other files of a repository: RepoBench 1.1 (Liu et al. 2023) and CrossCodeEval (Ding et al. 2023).

Both are read by their documented fields. What of other files does not fit into CHARACTERS before the line is left out, the first of it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from starmill.evaluation.similarity import edit_similarity, identifier_f1, identifiers
from starmill.evaluation.task import Problem, Rows, Score, Task

CHARACTERS = 24_000  # of a prompt; about 8,000 tokens
REPOBENCH = ("cross_file_first", "cross_file_random", "in_file")
CROSS = ("python", "java", "typescript", "csharp")
SIGNS = {"python": "#", "java": "//"}
Row = Mapping[str, Any]


def fitting(other: str, own: str) -> str:
    """Return text of other files, without its first lines where it is too long, and the last CHARACTERS of the file's own.

    >>> fitting("a\\nb\\n", "c") == "a\\nb\\nc"
    True
    """
    own = own[-CHARACTERS:]
    room = CHARACTERS - len(own)
    if len(other) > room:
        cut = other[len(other) - room :]
        other = cut[cut.find("\n") + 1 :] if "\n" in cut else ""
    return other + own


def first_line(completion: str, sign: str) -> str:
    """Return the first line that is neither blank nor a remark."""
    lines = (line.strip() for line in completion.splitlines())
    return next((line for line in lines if line and not line.startswith((sign, "/*", "*"))), "")


def line_score(completion: str, wanted: str, sign: str) -> Score:
    """Judge by the first line: exact, words for words, and its edit similarity."""
    got = first_line(completion, sign)
    same = got.split() == wanted.split()
    return Score(same, "" if same else "another line", {"edit_similarity": edit_similarity(got, wanted.strip())})


def prompt(row: Row, language: str) -> str:
    """Return RepoBench's prompt: the repository, snippets of other files, and the file down to its line."""
    sign = SIGNS[language]
    parts = [f"{sign} Path: {one['path']}\n{one['snippet']}\n\n" for one in row["context"]]
    own = f"{sign} Path: {row['file_path']}\n{row['import_statement']}\n{row['cropped_code']}\n"
    return fitting(f"{sign} Repo Name: {row['repo_name']}\n{''.join(parts)}", own)


def _repobench(rows: Rows, language: str) -> list[Problem]:
    (file,) = rows.values()
    return [
        Problem(
            f"{number}:{row['repo_name']}:{row['file_path']}",
            prompt(row, language),
            partial(line_score, wanted=row["next_line"], sign=SIGNS[language]),
            row["next_line"],
            f"{row['next_line'].rstrip()} and more",
        )
        for number, row in enumerate(file)
    ]


def statement(completion: str, language: str) -> str:
    """Return the first statement: of Python the lines until all brackets are closed, of others until ; { or }, at most the whole.

    >>> statement("f(a,\\n  b)\\nmore", "python"), statement("x.y(1); z", "java")
    ('f(a,\\n  b)', 'x.y(1);')
    """
    depth, quote, skip = 0, "", False
    for at, character in enumerate(completion):
        if skip:
            skip = False
        elif character == "\\":
            skip = True
        elif quote and (character != "\n" or quote == "`"):
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif language != "python":
            if character in ";{}":
                return completion[: at + 1]
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "\n":
            quote = ""  # a text that no line's end may stand in was not closed
            if depth <= 0 and completion[:at].strip():
                return completion[:at]
    return completion


def statement_score(completion: str, wanted: str, language: str) -> Score:
    """Judge by the first statement: its lines without blank ends, edit similarity, and F1 of its identifiers."""
    got = statement(completion, language)
    lines = [[line.strip() for line in text.splitlines() if line.strip()] for text in (got, wanted)]
    names = [identifiers(text, language) for text in (got, wanted)]
    return Score(
        lines[0] == lines[1],
        "" if lines[0] == lines[1] else "another statement",
        {
            "edit_similarity": edit_similarity(got.strip(), wanted.strip()),
            "identifier_exact_match": float(names[0] == names[1]),
            "identifier_f1": identifier_f1(*names),
        },
    )


def _crosscodeeval(rows: Rows, language: str, other: bool) -> list[Problem]:
    (file,) = rows.values()
    found = []
    for row in file:
        shown = row["crossfile_context"]["text"] if other else ""
        found.append(
            Problem(
                row["metadata"]["task_id"],
                fitting(shown, row["prompt"]),
                partial(statement_score, wanted=row["groundtruth"], language=language),
                row["groundtruth"],
                f"another_name{row['groundtruth']}",
            )
        )
    return found


TASKS = (
    *(
        Task(
            f"repobench_{language}_{split}",
            f"the next line of a file, {split.replace('_', ' ')}, {language}",
            "Liu et al. 2023, arXiv 2306.03091, version 1.1",
            (f"repobench/{language}_{split}.jsonl",),
            partial(_repobench, language=language),
            ("<file_sep>",),
            max_new_tokens=128,
        )
        for language in SIGNS
        for split in REPOBENCH
    ),
    *(
        Task(
            f"crosscodeeval_{language}{'' if other else '_in_file'}",
            f"a statement {'with' if other else 'without'} what is retrieved from other files, {language}",
            "Ding et al. 2023, arXiv 2310.11248",
            (f"crosscodeeval/{language}/line_completion_rg1_bm25.jsonl",),
            partial(_crosscodeeval, language=language, other=other),
            ("<file_sep>",),
            max_new_tokens=50,
        )
        for language in CROSS
        for other in (True, False)
    ),
)
