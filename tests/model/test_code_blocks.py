"""The end of a block in Python, C, JavaScript, Ruby and Go; one line more is never given away, at whatever token it comes."""

import pytest

from starmill.model.code_blocks import block_end, without_blank_end

# Where each prompt is cut, what belongs to the block, and what a model wrote after it.
CASES = {
    "python": ("def f(x):", "\n    if x:\n        return 1\n\n    return 2\n\n\n", "def g(x):\n    pass\n"),
    "a body that has begun": ("def f(x):\n    y = 1\n", "    return y\n", "print(f(1))\n"),
    "in the middle of a line": ("class A:\n    def f(self):\n        return se", "lf\n\n", "    def g(self):\n        pass\n"),
    "an indentation to start with": ("def f(x):\n    ", "return x\n\n", "import os\n"),
    "a signature of several lines": ("def f(", "\n    x: int,\n) -> int:\n    return x\n\n", "y = 1\n"),
    "a docstring that reaches out": ("def f():", '\n    """One.\n\ntwo\n"""\n    return 1\n', "x = 1\n"),
    "a docstring that was begun": ('def f():\n    """One', '.\n\ntwo\n    """\n    return 1\n', "x = 1\n"),
    "a comment behind the colon": ("for x in y:  # each", "\n    print(x)\n", "else:\n"),
    "C": ("int f(int x) {", "\n    if (x) {\n        return 1;\n    }\n    return 2;\n}\n", "\nint g(void) {\n}\n"),
    "C with its brace below": ("int f(int x)", "\n{\n    return 2;\n}\n", "\nint g(void)\n{\n}\n"),
    "an else": ("if (x) {", "\n  a();\n} else {\n  b();\n}\n", "c();\n"),
    "javascript": ("const f = (x) => {", "\n  return x;\n};\n", "const y = 2;\n"),
    "ruby": ("  def f(x)", "\n    x\n  end\n", "\n  def g\n  end\n"),
    "go with tabs": ("\tfor x := range y {", "\n\t\tprint(x)\n\t}\n", "\treturn\n"),
    "a list": ("names = [", "\n    'a',\n]\n", "x = 1\n"),
}


@pytest.mark.parametrize(("prompt", "block", "more"), CASES.values(), ids=CASES)
def test_the_block_and_no_more(prompt: str, block: str, more: str) -> None:
    assert block_end(prompt, block + more, finished=True) == len(block)
    # Letter by letter, as a model writes: the first answer is the last one, and comes with the line that ends the block.
    answers = [block_end(prompt, (block + more)[:length]) for length in range(len(block + more) + 1)]
    first = next(length for length, answer in enumerate(answers) if answer is not None)
    assert set(answers[first:]) == {len(block)}
    assert first <= len(block) + more.lstrip("\n").find("\n") + 2


@pytest.mark.parametrize(
    ("prompt", "text"),
    [("def f(x):", "\n    return x\n\n"), ("x = 1", "\ny = 2\n"), ("", ""), ("def f():", "\n# one\n# two\n")],
)
def test_a_block_that_does_not_end(prompt: str, text: str) -> None:
    assert block_end(prompt, text) is None and block_end(prompt, text, finished=True) is None


def test_a_last_line_without_its_end() -> None:
    assert block_end("def f():", "\n    pass\nimp") is None, "it might become deeper"
    assert block_end("def f():", "\n    pass\nimp", finished=True) == len("\n    pass\n")
    assert block_end("int f() {", "\n  a();\n}", finished=True) == len("\n  a();\n}")


def test_blank_lines_at_the_end() -> None:
    for text, kept in (("a\n\n\n", "a\n"), ("a\n", "a\n"), ("a", "a"), ("\n\n\n\n", "\n"), ("a\n\nb\n \n\t\n  ", "a\n\nb\n  ")):
        assert without_blank_end(text) == kept
