"""Files of tests become programs: one package, the imports that they use, and a main function that says when all tests ended."""

from starmill.evaluation.sandbox import golang
from starmill.evaluation.sandbox.languages import NONCE


def test_imports_are_those_that_are_used() -> None:
    text = 'package main\n\nimport (\n    "testing"\n    "math"\n)\nimport "sort"\n\n'
    text += "func f(x string) string { return strings.ToUpper(x) }\nfunc T(t *testing.T) {}\n"
    made = golang.imported(text, 'import ("strings"; "math/rand")')
    assert made.count("import ") == 2 and 'import "testing"\n' in made and 'import "strings"\n' in made
    assert made.startswith("package main\n") and "math/rand" not in golang.imported(
        "package a\nvar operand int", 'import "math/rand"'
    )


def test_all_tests_are_called_and_the_end_is_said_last() -> None:
    made = golang.ended("func TestA(t *testing.T) {}\nfunc TestB(x *testing.T) {}\nfunc helper(t int) {}\n")
    called = made[made.index("func main") :]
    assert called.index("TestA") < called.index("TestB") < called.index(NONCE) and "helper" not in called


def test_functions_that_stand_whole() -> None:
    text = "// one\nfunc One(x int) int {\n    if x > 0 {\n        return x\n    }\n    return 1\n}\n\nfunc Two() {\n"
    assert [name for name, _ in golang.functions(text)] == ["One"]
