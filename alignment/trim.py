"""Makes of a response what is learned: comments and sections go, and assertions may go behind the instruction (StarCoder2-Instruct)."""

import ast
import builtins
import io
import re
import tokenize

from starmill.alignment import invoked
from starmill.alignment.languages import LANGUAGES
from starmill.alignment.read import Response, blocks, parsed
from starmill.alignment.recipe import Select
from starmill.core import seeds

# Of an answer that leaves the work to others.
UNFINISHED = re.compile(
    r"\b(?:todo|fixme)\b|your code here|your code goes here|notimplemented|implement (?:this|me)\b|rest of (?:the|your) code",
    re.IGNORECASE,
)
UNIMPLEMENTED = re.compile(r"\bunimplemented\b|\bnot implemented\b", re.IGNORECASE)  # in other languages than Python
HAS_EXAMPLE = re.compile(r"\bassert|for example|\btests?\b", re.IGNORECASE)
TEST = re.compile(r"\btest", re.IGNORECASE)
MOST_LINES, MOST_ASSERTIONS = 5, 5


def unfinished(found: Response) -> str:
    """Return the words by which a response leaves something to be done, or nothing."""
    text = "\n".join([*found.sections.values(), found.program])
    match = UNFINISHED.search(text) or (LANGUAGES[found.language].syntax and UNIMPLEMENTED.search(text))
    return match[0] if match else ""


def sections(name: str, seed: int, how: Select) -> tuple[bool, bool]:
    """Return whether the reasoning and the explanation stay: drawn by the seed and the name alone."""
    shares = (("reasoning", how.keep_reasoning), ("explanation", how.keep_explanation))
    reasoning, explanation = (seeds.uniform(seed, "trim", name, what) < share for what, share in shares)
    return reasoning, explanation


def trimmed(instruction: str, found: Response, name: str, seed: int, how: Select) -> tuple[str, str]:
    """Return the instruction and the response as they are learned."""
    response = answered(instruction, found, *sections(name, seed, how), how.comments)
    return _asked(instruction, found, name, seed, how), response


def answered(instruction: str, found: Response, reasoning: bool, explanation: bool, comments: bool) -> str:
    """Return a response without its marks and what goes; the tests stay where the instruction speaks of tests."""
    kept = {"Reasoning": reasoning, "Explanation": explanation, "Tests": bool(TEST.search(instruction))}
    bodies = {name: text for name, text in found.sections.items() if kept.get(name, True)}
    if not comments:
        bodies["Implementation"] = _without_comments(bodies["Implementation"], found.language)
    return "\n\n".join(text for text in bodies.values() if text)


def _asked(instruction: str, found: Response, name: str, seed: int, how: Select) -> str:
    if HAS_EXAMPLE.search(instruction) or seeds.uniform(seed, "trim", name, "assertions") >= how.add_assertions:
        return instruction
    known = _assertions(found)
    if not known:
        return instruction
    count = min(len(known), 1 + seeds.uint64(seed, "trim", name, "count") % MOST_ASSERTIONS)
    drawn = sorted(sorted(range(len(known)), key=lambda at: seeds.hashed(seed, "trim", name, "which", at))[:count])
    return (
        f"{instruction}\n\nYour code should pass the following assertion{'s' * (count > 1)}:\n```{LANGUAGES[found.language].fence}\n"
        + "".join(f"{known[at]}\n" for at in drawn)
        + "```"
    )


def _assertions(found: Response) -> list[str]:
    """Return the assertions of at most five lines that speak of nothing but the code and what its language has."""
    if (syntax := LANGUAGES[found.language].syntax) is not None:
        return syntax.assertions(found.code, found.tests)
    code, tests = parsed(found.code), parsed(found.tests)
    assert code is not None and tests is not None
    known = invoked.bound(code) | {*dir(builtins)}
    texts = []
    for one in invoked.assertions(code, tests):
        names = {node.id for node in ast.walk(one) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        made = {node.id for node in ast.walk(one) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        text = ast.get_source_segment(found.tests, one)
        if text and names - made <= known and text.count("\n") < MOST_LINES:
            texts.append(text)
    return [*dict.fromkeys(texts)]


def _without_comments(section: str, language: str) -> str:
    row, made, at = LANGUAGES[language], [], 0
    for one in blocks(section):
        begin = section.rindex("\n```", 0, one.end) + 1 - len(one.text)
        if one.language in row.fences:
            bare = without_comments(one.text) if row.syntax is None else row.syntax.without_comments(one.text)
            made += [section[at:begin], bare]
            at = begin + len(one.text)
    return "".join([*made, section[at:]])


def without_comments(code: str) -> str:
    """Return a program without its comments, and without lines that had nothing else; one that Python cannot cut stays as it is.

    >>> without_comments("x = 1  # one\\n# two\\ny = '#'\\n")
    "x = 1\\ny = '#'\\n"
    """
    lines = code.splitlines(keepends=True)
    try:
        found = [t for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError):
        return code
    if code.count("\n") + (not code.endswith("\n")) != len(lines):  # other ends of lines: the numbers would not fit
        return code
    for token in found:
        row, column = token.start
        rest = lines[row - 1][:column].rstrip()
        lines[row - 1] = f"{rest}\n" if rest else ""
    return "".join(lines)
