"""One program of code and tests: what names, modules, imports and main functions need, so that right answers pass and tricks do not."""

import pytest
import toolchains

from starmill.alignment import languages
from starmill.alignment.languages import LANGUAGES
from starmill.alignment.read import Response
from starmill.alignment.recipe import Verify
from starmill.alignment.verify import job
from starmill.evaluation.sandbox import programs

CPP_MAIN = "#include <cassert>\nint main({}) {{ assert(f(1) == 1); {} }}"
CPP = "int f(int x) { return x; }"
RUST = "fn f(x: i32) -> i32 { if x < 0 { panic!(); } x }"
JAVA = "class C { static int f(int x) { return x; } }"
GO = "package main\nfunc F(x int) int { return x }"
JS = "function f(x) { return x; }"
TS = "function f(x: number): number { return x; }"


@pytest.mark.parametrize(
    ("name", "code", "tests", "reason"),
    [
        ("C++", CPP, CPP_MAIN.format("", ""), ""),
        ("C++", CPP, CPP_MAIN.format("int argc, char** argv", 'if (argc == 1) return 0; throw "no";'), ""),
        ("C++", CPP, CPP_MAIN.format("void", "return 3;"), "wrong"),
        ("C++", "#define NDEBUG\n#include <cassert>\nint f(int) { return 2; }", CPP_MAIN.format("", ""), "wrong"),
        ("C++", "#include <cstdlib>\nint f(int x) { _Exit(0); }", CPP_MAIN.format("", ""), "ended"),
        ("C++", f"{CPP}\nint main() {{ return f(3); }}", CPP_MAIN.format("", ""), ""),
        ("Rust", RUST, "fn main() { assert_eq!(f(1), 1); }", ""),
        ("Rust", RUST, "#[cfg(test)]\nmod a { mod b { use super::super::*; #[test] fn t() { assert!(f(1) == 1); } } }", "syntax"),
        ("Rust", RUST, "mod a { use super::*;\n#[test]\n#[should_panic(expected = \"\")]\nfn t() { assert!(f(-1) == 1); } }", ""),
        ("Rust", RUST, "mod a { use super::*;\n#[test]\n#[should_panic]\nfn t() { assert!(f(1) == 1); } }", "wrong"),
        ("Rust", RUST, "#[test]\nfn t() -> Result<(), String> { assert!(f(1) == 1); Err(\"no\".to_string()) }", "wrong"),
        ("Rust", f"use std::fmt;\n{RUST}", "use std::fmt;\nuse super::*;\n#[test]\nfn t() { assert!(f(1) == 1, \"#[test] fn x()\"); }", ""),
        ("Java", JAVA, "class T { public static void main(String[] a) { assert C.f(1) == 1 : \"Main\"; } }", ""),
        ("Java", JAVA, "package x;\npublic class Main { public static void main(String[] a) { assert C.f(1) == 1; } }", ""),
        ("Java", JAVA, "class U {}\nclass T { public static void main(String[] a) throws Exception { assert C.f(1) == 2; } }", "wrong"),
        ("Java", f"public {JAVA}", "class T { public static void main(String[] a) { assert C.f(1) == 1; System.exit(0); } }", "ended"),
        ("Go", GO, "package main\nimport (\n\t\"fmt\"\n\t\"os\"\n)\nfunc main() { if F(1) != 1 { panic(1) }; fmt.Println(1) }", ""),
        ("Go", GO, "package main_test\nimport \"testing\"\nfunc TestF(t *testing.T) { if F(1) != 2 { t.Errorf(\"no\") } }", "wrong"),
        ("Go", GO, "package main\nimport \"os\"\nfunc main() { if F(1) != 1 { panic(1) }; os.Exit(0) }", "ended"),
        ("JavaScript", JS, "assert.equal(f(1), 1); console.assert(f(2) === 2);", ""),
        ("JavaScript", JS, "console.assert(f(1) === 2, 'no');", "wrong"),
        ("JavaScript", f"{JS}\nexport default f;", "import { strictEqual as same } from 'assert';\nsame(f(1), 1);", ""),
        ("JavaScript", JS, "const { f } = require('./f');\nconst assert = require('assert').strict;\nassert.equal(f(1), 1);", ""),
        ("JavaScript", JS, "setTimeout(() => { assert(f(1) === 2); }, 1);", "wrong"),
        ("JavaScript", JS, "(async () => { assert(await f(1) === 2); })();", "wrong"),
        ("JavaScript", JS, "setTimeout(() => { process.exit(0); }, 1); assert(f(1));", "ended"),
        ("JavaScript", JS, "process.exitCode = 3; assert(f(1));", "wrong"),
        ("TypeScript", TS, "function assert(ok: boolean) { if (!ok) throw new Error('no'); }\nassert(f(1) === 1);", ""),
        ("TypeScript", TS, "assert(f(1) === 2);", "wrong"),
        ("TypeScript", TS, "console.assert(f('1') === 1);", "syntax"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_program(name: str, code: str, tests: str, reason: str) -> None:
    toolchains.namespaces()
    if found := languages.absent([name]):
        pytest.skip(f"NOT RUN: {found[0]}")
    verdict = programs.verdict(job(Response({}, code, code, tests, name), Verify()))
    assert (verdict.passed, verdict.reason) == (not reason, reason), verdict.said


def test_one_that_says_so_itself_does_not_pass() -> None:
    """What stands for the nonce is not replaced in an answer."""
    toolchains.namespaces()
    if languages.absent(["JavaScript"]):
        pytest.skip("NOT RUN: no node")
    found = Response({}, "console.log('@NONCE@'); process.exit(0);", "", "assert(1)", "JavaScript")
    assert programs.verdict(job(found, Verify())).reason == "ended"


def test_every_language_makes_programs() -> None:
    assert all((row.program is None) == (row.syntax is None) == (name == "Python") for name, row in LANGUAGES.items())
