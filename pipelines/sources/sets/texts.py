"""The small high-quality sets of StarCoder2 (paper, section 2.7): of each, which columns a row has and how they become one text.

A set is a row of SETS. The formats are those in which BigCode trained on the sets; what cannot be one is `Unusable`, with a reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from starmill.pipelines.sources.tables.columns import TooLarge

Row = Mapping[str, Any]  # by the names of SmallSet.columns
# The languages of CodeContests, by the numbers in its `solutions.language`; 0 is unknown, and left out.
LANGUAGES = {1: "Python 2", 2: "CPP", 3: "Python 3", 4: "Java"}


class Unusable(ValueError):
    """A row that is no text; `reason` says why, in snake_case."""

    def __init__(self, reason: str, detail: str = "") -> None:
        """Say why; the detail names the value."""
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class SmallSet:
    """What a set takes. `hub`: its owner/name (on the Hugging Face hub, where it is there), which is the repository of its records.

    `columns`: a value of a row to the names that its column may have. `text` makes one of these values. `together`: of the rows with
    one answer, `text` takes a list. `form`: a row is one of a table, or as many lines of a text file as there are columns, or a file
    of a folder of tasks (tasks.py).
    """

    hub: str
    columns: Mapping[str, Sequence[str]]
    text: Callable[..., str]
    optional: frozenset[str] = field(default=frozenset())
    together: Callable[[Row], str] | None = None
    form: Literal["table", "lines", "tasks"] = "table"
    kind: str = "lhq"


def text_of(row: Row, name: str) -> str:
    """Return a text of a row. Raises Unusable where there is none, or none that UTF-8 can say."""
    found = row.get(name)
    if found is None:
        raise Unusable("no_content", f"{name} is null")
    if isinstance(found, TooLarge):
        raise Unusable("too_large", f"{name}: {found.size:,} bytes")
    try:
        return found.decode() if isinstance(found, bytes) else found.encode().decode()
    except (AttributeError, UnicodeError):
        raise Unusable("wrong_type", f"{name}: {found!r:.200} is no text") from None


def two(first: str, second: str) -> Callable[[Row], str]:
    r"""Return what joins two columns by a line break.

    >>> two("question", "answer")({"question": "6 * 7?", "answer": b"42"})
    '6 * 7?\n42'
    """
    return lambda row: f"{text_of(row, first)}\n{text_of(row, second)}"


def apps(row: Row) -> str:
    r"""Return a problem of APPS with the first of its solutions, which are a list in JSON; where a function is named, it is call-based.

    >>> apps({"question": "Add.", "solutions": '["print(1)", "2"]', "starter_code": "", "input_output": ""})
    '\nQUESTION:\nAdd.\nUse Standard Input format\nANSWER:\nprint(1)'
    """
    question, stated = text_of(row, "question"), text_of(row, "solutions")
    starter = text_of(row, "starter_code") if row.get("starter_code") else ""
    try:
        solutions = msgspec.json.decode(stated or "[]", type=list[str])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Unusable("malformed_solutions", str(error)) from None
    if not any(solutions[:1]):
        raise Unusable("no_solution", f"{len(solutions):,} solutions, and no first one")
    call = "Call-Based" if _is_called(row) else "Standard Input"
    return f"\nQUESTION:\n{question}{starter}\nUse {call} format\nANSWER:\n{solutions[0]}"


class _Tests(msgspec.Struct):
    fn_name: Any = None


def _is_called(row: Row) -> bool:
    """Say whether the tests name a function; where there are none that can be read, they do not."""
    try:
        return bool(msgspec.json.decode(row.get("input_output") or "{}", type=_Tests).fn_name)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, TypeError):
        return False


def contests(row: Row) -> str:
    r"""Return a problem of CodeContests with the first solution in each language. No line break follows the colon: BigCode's had none.

    >>> contests({"description": "Add.", "solutions": {"language": [3, 2, 3], "solution": ["print(3)", "int main(){}", "other"]}})
    'Add.\nSolution (Python 3):print(3)\nSolution (CPP):int main(){}'
    """
    description, found = text_of(row, "description"), row.get("solutions")
    first: dict[int, str] = {}
    for language, solution in _solutions(found):
        if not isinstance(language, int | None):
            raise Unusable("wrong_type", f"solutions: {language!r:.100} is no number of a language")
        if language in LANGUAGES and language not in first:
            first[language] = text_of({"solution": solution}, "solution")
    said = "".join(f"Solution ({LANGUAGES[language]}):{solution}\n" for language, solution in first.items())
    return f"{description}\n{said}".strip()


def _solutions(found: Any) -> list[tuple[Any, Any]]:
    """Return the pairs of (language, solution) of two lists, as the hub has them, or of a list of objects."""
    if found is None:
        return []
    if isinstance(found, dict):
        languages, solutions = found.get("language"), found.get("solution")
        if isinstance(languages, list) and isinstance(solutions, list) and len(languages) == len(solutions):
            return [*zip(languages, solutions, strict=True)]
    elif isinstance(found, list) and all(isinstance(one, dict) for one in found):
        return [(one.get("language"), one.get("solution")) for one in found]
    raise Unusable("wrong_type", f"solutions: {found!r:.100} is no list of languages and one of as many solutions")


def task(row: Row) -> str:
    """Return what the rows of one task of Rosetta Code have in common: its name and description."""
    return f"{text_of(row, 'task_name')}\n{text_of(row, 'task_description')}"


def rosetta(rows: Sequence[Row]) -> str:
    r"""Return a task of Rosetta Code with its solutions in all languages.

    >>> rosetta([{"task_name": "Add", "task_description": "Two.", "language_name": x, "code": f"{x}!"} for x in "CR"])
    'Add\nTwo.\n\nLanguage: C\nC!\n\nLanguage: R\nR!'
    """
    return "\n\n".join([task(rows[0]), *(f"Language: {text_of(row, 'language_name')}\n{text_of(row, 'code')}" for row in rows)])


def content(row: Row) -> str:
    """Return the text of a set that has one."""
    return text_of(row, "content")


def _named(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


ONE_TEXT = {"content": ("content", "text")}
SOLVED = _named("task_name", "task_description", "language_name", "code")
SETS: Mapping[str, SmallSet] = {
    "apps": SmallSet(
        "codeparrot/apps",
        _named("question", "solutions", "starter_code", "input_output"),
        apps,
        optional=frozenset(("starter_code", "input_output")),
    ),
    "code-contests": SmallSet("deepmind/code_contests", _named("description", "solutions"), contests),
    "gsm8k": SmallSet("openai/gsm8k", _named("question", "answer"), two("question", "answer")),
    "gsm8k-screl": SmallSet("OFA-Sys/gsm8k-ScRel", _named("query", "response"), two("query", "response")),
    "mathematics": SmallSet(
        "google-deepmind/mathematics_dataset", _named("question", "answer"), two("question", "answer"), form="lines"
    ),
    "multipl-t": SmallSet("nuprl/MultiPL-T", ONE_TEXT, content),
    "open-web-math": SmallSet("open-web-math/open-web-math", ONE_TEXT, content, kind="openwebmath"),
    "proofsteps": SmallSet("xu3kev/proof-pile-2-proofsteps", ONE_TEXT, content),
    "rosetta-code": SmallSet("cakiki/rosetta-code", SOLVED, rosetta, together=task),
    "rosetta-data": SmallSet("acmeism/RosettaCodeData", SOLVED, rosetta, together=task, form="tasks"),
}
SetName = Literal[
    "apps",
    "code-contests",
    "gsm8k",
    "gsm8k-screl",
    "mathematics",
    "multipl-t",
    "open-web-math",
    "proofsteps",
    "rosetta-code",
    "rosetta-data",
]
