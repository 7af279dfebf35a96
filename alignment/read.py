"""What an answer holds: a judgement, concepts, an instruction, or a response of four sections; or the reason why it does not.

All patterns take linear time, and no answer is executed here.
"""

import ast
import re
import warnings
from dataclasses import dataclass
from typing import NamedTuple

from starmill.alignment import invoked
from starmill.alignment.languages import LANGUAGES, PLAIN, PYTHON
from starmill.evaluation.run.generate import Reply

SECTIONS = ("Reasoning", "Implementation", "Explanation", "Tests")
MARK = re.compile(r"^\[(Reasoning|Implementation|Explanation|Tests)\][ \t]*$", re.MULTILINE)
FENCE = re.compile(r"^```([^\s`]*)[^\n`]*$", re.MULTILINE)
REFUSES = re.compile(
    r"\s*(?:i(?:'|’)?m sorry|i am sorry|sorry,|i (?:cannot|can(?:'|’)?t|am unable to|won(?:'|’)?t)\b|as an ai\b|as a language model)",
    re.IGNORECASE,
)
MAX_CHARS = 100_000  # of an answer
MAX_INSTRUCTION = 8_000  # characters
MAX_CONCEPTS, MAX_CONCEPT = 30, 120  # and characters of one
LATIN = 0x250  # the first character behind Latin letters
ENDED = ("", "stop", "eos", "eos_token", "stop_sequence")


class Reason(NamedTuple):
    """Why an answer is dropped."""

    reason: str
    detail: str = ""


def unusable(reply: Reply) -> Reason | None:
    """Return why an answer is none, whatever was asked."""
    if reply.refused:
        return Reason("not_answered", reply.refused[:200])
    if reply.ended not in ENDED:
        return Reason("cut_off", reply.ended[:40])
    if not reply.text.strip():
        return Reason("empty")
    if len(reply.text) > MAX_CHARS:
        return Reason("too_long", f"{len(reply.text):,} characters")
    if REFUSES.match(reply.text):
        return Reason("refused", reply.text.strip()[:100])
    return None


def says_yes(text: str) -> bool:
    """Say whether a judgement has more words "yes" than "no"; a tie is no.

    >>> says_yes(" Yes"), says_yes("No, yes"), says_yes("")
    (True, False, False)
    """
    words = re.findall(r"[a-z]+", text.lower())
    return words.count("yes") > words.count("no")


def concepts(text: str) -> list[str] | Reason:
    """Return the concepts of an answer: a list with commas, in its first paragraph.

    >>> concepts(" loops, sets \\n\\nand more")
    ['loops', 'sets']
    """
    first = " ".join(text.strip().split("\n\n")[0].split())
    if "###" in first or "```" in first:
        return Reason("malformed", "no list of concepts")
    found = [*dict.fromkeys(one.strip().rstrip(".") for one in first.split(",") if one.strip(" ."))]
    if not 0 < len(found) <= MAX_CONCEPTS or max(map(len, found)) > MAX_CONCEPT:
        return Reason("malformed", "no list of concepts")
    return found if _is_latin(first) else Reason("another_language", "no Latin letters")


def instruction(text: str, language: str = PYTHON) -> str | Reason:
    """Return the instruction of an answer, whose blocks of code are of this language."""
    found = text.strip()
    if "### " in found:
        return Reason("malformed", "a heading in it")
    if len(found) > MAX_INSTRUCTION:
        return Reason("too_long", f"{len(found):,} characters")
    if not _is_latin(found):
        return Reason("another_language", "no Latin letters")
    known = (*LANGUAGES[language].fences, *PLAIN)
    other = next((one[1] for one in FENCE.finditer(found) if one[1].lower() not in known), None)
    return Reason("another_language", other[:40]) if other else found


@dataclass(frozen=True)
class Response:
    """A response in its sections, and the programs in two of them."""

    sections: dict[str, str]  # by name, in order; the last ends with its block
    code: str  # all blocks of [Implementation]
    first: str  # the first of them
    tests: str  # the block of [Tests] with assertions
    language: str = PYTHON

    @property
    def program(self) -> str:
        """Code and tests."""
        return f"{self.code}\n{self.tests}"


def response(text: str, language: str = PYTHON) -> Response | Reason:
    """Return a response with exactly one each of the four sections, in order, whose tests are executed with it."""
    fences = LANGUAGES[language].fences
    marks = [*MARK.finditer(text)]
    if tuple(mark[1] for mark in marks) != SECTIONS:
        return Reason("sections", ", ".join(mark[1] for mark in marks)[:100] or "none")
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    bodies = {mark[1]: text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}
    made, tests = blocks(bodies["Implementation"]), blocks(bodies["Tests"])
    for one in (*made, *tests):
        if one.language not in (*fences, *PLAIN):
            return Reason("another_language", one.language[:40])
    code = [one.text for one in made if one.language in fences]
    if not code:
        return Reason("no_code")
    if len(tests) > 1:
        return Reason("several_tests")
    if not tests or tests[0].language not in fences or not _asserts(tests[0].text, language):
        return Reason("no_tests")
    [tested] = tests
    bodies["Tests"] = bodies["Tests"][: tested.end]  # what follows is cut
    found = Response(bodies, "\n".join(code), code[0], tested.text, language)
    return _fails_to_test(found) or found


def _asserts(tests: str, language: str) -> bool:
    syntax = LANGUAGES[language].syntax
    return "assert" in tests if syntax is None else syntax.has_assertion(tests)


def _fails_to_test(found: Response) -> Reason | None:
    """Return why the tests of a response would say nothing; syntax of other languages than Python is the compiler's to judge."""
    if (syntax := LANGUAGES[found.language].syntax) is not None:
        return None if syntax.invoked(found.code, found.tests) else Reason("tests_not_invoked")
    code, tests = (parsed(one) for one in (found.code, found.tests))
    if code is None or tests is None:
        return Reason("syntax_error", "code" if code is None else "tests")
    return None if invoked.assertions(code, tests) else Reason("tests_not_invoked")


class Block(NamedTuple):
    """A block between fences: its language in lower case, its text, and where it ends."""

    language: str
    text: str
    end: int


def blocks(text: str) -> list[Block]:
    """Return the closed blocks of a text.

    >>> blocks("```python\\nx = 1\\n```\\n```\\nopen")
    [Block(language='python', text='x = 1\\n', end=19)]
    """
    found, begin = [], None
    for fence in FENCE.finditer(text):
        if begin is None:
            begin = fence
        elif not fence[1]:
            found.append(Block(begin[1].lower(), text[begin.end() + 1 : fence.start()], fence.end()))
            begin = None
    return found


def parsed(code: str) -> ast.Module | None:
    """Return the tree of a program, or None where Python reads none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _is_latin(text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    return bool(letters) and 2 * sum(ord(c) < LATIN for c in letters) > len(letters)
