"""Which assertions a block really executes: compared with Python itself, which counts those that fail when all are false."""

import ast
import contextlib

import pytest

from starmill.alignment.invoked import assertions, bound, functions

CODE = "import re\n\nclass Box:\n    def get(self): pass\n\ndef f(x): return x\nLIMIT: int = 3\na, b = 1, 2"
BLOCKS = [
    "assert f(1)",
    "for x in range(3):\n    assert f(x)",
    "if True:\n    assert f(1)\n    assert f(2)",
    "def test():\n    assert f(1)\n\ntest()",
    "def inner():\n    assert f(1)\ndef test():\n    inner()\ntest()",
    "try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    assert f(1)",
    "def test():\n    assert f(1)",
    "def test():\n    def inner():\n        assert f(1)\n    inner()\ntest()",
    "def test():\n    def inner():\n        assert f(1)\ntest()",
    "class T:\n    def test(self):\n        assert f(1)",
    "check = lambda: f(1)",
    "def again():\n    assert f(1)\n    again()\nagain()",
]


@pytest.mark.parametrize("tests", BLOCKS)
def test_an_assertion_counts_where_python_executes_it(tests: str) -> None:
    executed: set[int] = set()

    class Noted(ast.NodeTransformer):
        def visit_Assert(self, node: ast.Assert) -> ast.AST:
            call = ast.Expr(ast.Call(ast.Name("noted", ast.Load()), [ast.Constant(node.lineno)], []))
            return ast.copy_location(ast.fix_missing_locations(call), node)

    def noted(line: int) -> None:
        if line in executed:
            raise StopIteration  # the endless one
        executed.add(line)

    tree = ast.fix_missing_locations(Noted().visit(ast.parse(tests)))
    space = {"f": lambda x: x, "noted": noted}
    with contextlib.suppress(StopIteration):
        exec(compile(tree, "tests", "exec"), space)
    assert {one.lineno for one in assertions(ast.parse(CODE), ast.parse(tests))} == executed


@pytest.mark.parametrize("tests", ["assert 1 == 1", "import re\nassert re.match('a', 'a')", "x = 1\nassert x"])
def test_assertions_that_ask_nothing_of_the_code(tests: str) -> None:
    assert assertions(ast.parse(CODE), ast.parse(tests)) == []


def test_names() -> None:
    assert bound(ast.parse(CODE)) == {"Box", "f", "LIMIT", "a", "b"}
    assert functions(ast.parse(CODE)) == ("Box", "get", "f")
