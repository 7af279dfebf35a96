"""Every language whose toolchain this machine has: a program that passes, fails, ends early, does not compile, or runs for ever."""

import pytest
import toolchains

from starmill.core.errors import UsageError
from starmill.evaluation.sandbox import Job, programs
from starmill.evaluation.sandbox.languages import LANGUAGES, NONCE

# A function, a test of it in the blocks that the language's tests stand in, how many blocks, and a way to end well before the end.
MAIN = "int main() {{ if (twice(4) != 8) {{ abort(); }} }}"
SHAPES = {
    "cpp": ("#include <cstdio>\n#include <cstdlib>\nint twice(int x) {{ {early} return {by} * x; }}\n", MAIN.format(), 1, "exit(0);"),
    "java": (
        "class S {{ static int twice(int x) {{ {early} return {by} * x; }} }}",
        "public class Main { public static void main(String[] a) { if (S.twice(4) != 8) { throw new AssertionError(\"no\"); } } }",
        2,
        "System.exit(0);",
    ),
    "rust": (
        "fn twice(x: i32) -> i32 {{ {early} {by} * x }}",
        "#[cfg(test)] mod tests { use super::*; #[test] fn one() { assert_eq!(twice(4), 8); } }",
        2,
        "if x == 4 {{ std::process::exit(0); }}",
    ),
    "rs": (
        "fn twice(x: i32) -> i32 {{ {early} {by} * x }}",
        "fn main() { assert_eq!(twice(4), 8); }",
        1,
        "if x == 4 {{ std::process::exit(0); }}",
    ),
    "java_problem": (
        "import org.javatuples.*;\nclass Problem {{ static int twice(int x) {{ {early} return {by} * x; }}",
        "public static void main(String[] a) { if (twice(4) != 8) { throw new AssertionError(\"no\"); } } }",
        2,
        "System.exit(0);",
    ),
    "go": (
        "package main\nimport starmill \"os\"\nfunc twice(x int) int {{ {early} return {by} * x }}",
        "func main() { if twice(4) != 8 { panic(\"no\") } }",
        1,
        "if x == 4 {{ starmill.Exit(0) }};",
    ),
    "ts": (
        "function twice(x: number): number {{ {early} return {by} * x; }}",
        "declare var process: any; if (twice(4) !== 8) throw new Error('no');",
        0,
        "if (x == 4) process.exit(0);",
    ),
    "d": (
        "int twice(int x) {{ {early} return {by} * x; }}",
        "unittest { assert(twice(4) == 8); }\nvoid main() {}",
        2,
        "import core.stdc.stdlib; if (x == 4) exit(0);",
    ),
    "scala": (
        "object Problem {{ def twice(x: Int): Int = {{ {early} return {by} * x }}",
        "def main(args: Array[String]) = { assert(twice(4) == 8) } }",
        2,
        "if (x == 4) sys.exit(0);",
    ),
    "swift": (
        "import Foundation\nfunc twice(_ x: Int) -> Int {{ {early}\n return {by} * x }}",
        "assert(twice(4) == 8)",
        0,
        "if x == 4 {{ exit(0) }}",
    ),
    "jl": ("function twice(x) {early} return {by} * x end", "using Test\n@test twice(4) == 8", 0, "exit(0);"),
    "rkt": (
        "#lang racket\n(define (twice x) {early} (* {by} x))",
        '(unless (= (twice 4) 8) (error "no"))',
        0,
        "(when (= x 4) (exit 0))",
    ),
    "js": ("function twice(x) {{ {early} return {by} * x; }}", "if (twice(4) !== 8) throw new Error('no');", 0, "process.exit(0);"),
    "lua": ("function twice(x) {early} return {by} * x end", "assert(twice(4) == 8)", 0, "os.exit(0)"),
    "php": (
        "<?php function twice($x) {{ {early} return {by} * $x; }}",
        "if (twice(4) !== 8) { throw new Exception('no'); }",
        0,
        "exit(0);",
    ),
    "pl": ("sub twice {{ {early} return {by} * $_[0]; }}", "die 'no' if twice(4) != 8;", 0, "exit 0;"),
    "rb": ("def twice(x)\n {early}\n {by} * x\nend", "raise 'no' if twice(4) != 8", 0, "exit!(0)"),
    "sh": ("twice() {{ {early}\n echo $(({by} * $1)); }}", "set -e\n[[ $(twice 4) = 8 ]]", 0, "kill -9 $$"),
    "r": ("twice <- function(x) {{ {early}\n {by} * x }}", "stopifnot(twice(4) == 8)", 0, "quit(status = 0)"),
}  # fmt: skip


def job(name: str, by: int = 2, early: str = "") -> Job:
    shape, tests, blocks, _ = SHAPES[name]
    return Job(shape.format(by=by, early=early), LANGUAGES[name].ended(tests, blocks), 20, language=name)


@pytest.fixture(params=LANGUAGES)
def name(request: pytest.FixtureRequest) -> str:
    toolchains.namespaces()
    if reason := programs.absent(request.param):
        pytest.skip(f"NOT RUN: {reason}")
    return str(request.param)


def test_a_program_passes_only_at_the_end_of_its_tests(name: str) -> None:
    assert programs.verdict(job(name)).passed
    wrong = programs.verdict(job(name, by=3))
    assert (wrong.passed, wrong.reason) == (False, "wrong") and NONCE not in wrong.said
    early = programs.verdict(job(name, early=SHAPES[name][3].format()))
    assert not early.passed and early.reason in ("ended", "wrong")


def test_every_language_has_its_shape() -> None:
    assert {*SHAPES} == {*LANGUAGES}


def test_what_is_no_program_is_said() -> None:
    toolchains.namespaces()
    if programs.absent("cpp"):
        pytest.skip("NOT RUN: no g++")
    found = programs.verdict(Job("int twice(int x) { return y; }", "int main() {}", 20, language="cpp"))
    assert (found.reason, "not declared" in found.said) == ("syntax", True)


def test_a_language_that_is_unknown_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        programs.verdict(Job("", "", language="jss"))
