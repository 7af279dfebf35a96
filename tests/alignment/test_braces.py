"""What is read of programs with braces: comments and quotes, functions, what tests reach, and assertions that stand alone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from starmill.alignment.braces import Braces
from starmill.alignment.languages import LANGUAGES

OTHERS = {name: row.syntax for name, row in LANGUAGES.items() if row.syntax is not None}
JS, GO, RUST, JAVA, CPP = (OTHERS[name] for name in ("JavaScript", "Go", "Rust", "Java", "C++"))


@pytest.mark.parametrize(
    ("syntax", "text", "wanted"),
    [
        (JS, "a('//', \"/*\", `\n//${b}`) // c", "a(____, ____, _\n_______) ____"),
        (JS, "x = /[\"']/.test(y) / 2; // z", "x =_______.test(y) / 2; ____"),
        (JS, "f(\"a\\\"b\", 'c\\'d')", "f(______, ______)"),
        (GO, "s := `a\"\n\\` + 'b' /* c\n*/ + '\\''", "s := ___\n__ + ___ ____\n__ + ____"),
        (RUST, "fn f<'a>(x: &'a str) { r#\"//\"# + 'b' + '\\u{1F}' }", "fn f<'a>(x: &'a str) { _______ + ___ + ________ }"),
        (JAVA, 'String s = """\n  "//" \\n""" + \'"\';', "String s = ___\n____________ + ___;"),
        (CPP, "auto s = R\"x(a)\" // )x\" + 'b' + 1'000;", "auto s = ______________ + ___ + 1'000;"),
        (CPP, "x /* open", "x _______"),
        (JAVA, 'f("open\n// g', "f(_____\n____"),
    ],
)
def test_comments_and_quotes_are_blank(syntax: Braces, text: str, wanted: str) -> None:
    assert syntax.masked(text).replace(" ", "_") == wanted.replace(" ", "_")


@pytest.mark.parametrize(
    ("syntax", "text", "names"),
    [
        (
            JS,
            "export const f = async (x) => { }\nconst g = x => x;\nfunction* h({a}, b) {}\nclass K {}\nlet n = (1);",
            "f g h K n",
        ),
        (JS, "function f(x) {\n  const inner = 1;\n}\n// function no() {}\n'function no() {}'", "f"),
        (GO, "func (s *Set) Add(x int) {}\nfunc Map[T any](xs []T) []T {\n}\ntype Set struct{}\nfunc main() {}", "Add Map Set"),
        (RUST, "pub fn f<T: Ord>(x: T) -> T where T: Copy { x }\nstruct S;\nimpl S { fn g(&self) {} }", "f S g"),
        (
            JAVA,
            "class A { A(int x) {} int f(int x) throws E { if (x > 0) { g(x); } return new B() { void h() {} }; } }",
            "A f h",
        ),
        (
            CPP,
            "template <class T> T f(T x) { while (x) { g(x); } return x; }\nstruct S { int m() const { return 1; } };",
            "T f S m",
        ),
        (CPP, "int open(int x) { return (x; }", "open"),
    ],
)
def test_names(syntax: Braces, text: str, names: str) -> None:
    assert syntax.names(text) == tuple(names.split())


CODE = {
    "JavaScript": "function f(x) { return x; }", "Go": "func f(x int) int { return x }", "Rust": "fn f(x: i32) -> i32 { x }",
    "Java": "class C { static int f(int x) { return x; } }", "C++": "int f(int x) { return x; }",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "tests", "invoked"),
    [
        ("JavaScript", "assert(f(1))", True),
        ("JavaScript", "function t() { assert(f(1)); }", False),
        ("JavaScript", "function t() { assert(f(1)); }\nt();", True),
        ("JavaScript", "const t = () => {\n  u();\n};\nfunction u() { if (f(1)) throw 1; }\nrun(t);", True),
        ("JavaScript", "(async () => { assert(await f(1)); })();", True),
        ("JavaScript", "assert('f(1)'); // f(1)", False),
        ("JavaScript", "f(1); function t() { assert(1); }", False),
        ("JavaScript", "assert(x.f)", False),
        ("Go", "func TestF(t *testing.T) { if f(1) != 1 { t.Error() } }", True),
        ("Go", "func check() { if f(1) != 1 { panic(1) } }", False),
        ("Go", "func main() { check() }\nfunc check() { if f(1) != 1 { panic(1) } }", True),
        ("Rust", "mod t { use super::*; #[test] #[ignore]\n fn a() { assert!(f(1) == 1); } }", True),
        ("Rust", "mod t { fn a() { assert!(f(1) == 1); } }", False),
        ("Rust", "fn main() { assert_eq!(f(1), 1); }", True),
        ("Java", "class T { public static void main(String[] a) { go(); } static void go() { assert C.f(1) == 1; } }", True),
        ("Java", "class T { static void go() { assert C.f(1) == 1; } }", False),
        ("C++", "int main() { assert(f(1) == 1); }", True),
        ("C++", "void go() { assert(f(1) == 1); }\nint main() { }", False),
        ("C++", "int main() { [&] { assert(f(1) == 1); }(); }", True),
    ],
)
def test_tests_that_are_run_and_ask_the_code(name: str, tests: str, invoked: bool) -> None:
    assert OTHERS[name].invoked(CODE[name], tests) is invoked


def test_assertions_that_stand_alone() -> None:
    tests = "const x = 1;\nassert(f(x));\nassert.equal(f('x'), 1);\nassert(f(1));\nassert(f(1));\nassert(\n  f(2));\nassert(g(3));\n"
    tests += "function t() {\n  assert(f(4));\n}\n// assert(f(5));\nassert(f(6)); assert(f(7));\nassert(f(8)\n);"
    assert JS.assertions(CODE["JavaScript"], tests) == [
        "assert.equal(f('x'), 1);",
        "assert(f(1));",
        "assert(f(6)); assert(f(7));",
    ]
    assert GO.assertions(CODE["Go"], "func TestF(t *testing.T) { if f(1) != 1 { t.Error() } }") == []


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("// a\nx(); // b\n  // c\n\n/* d\n e */\ny(/* f */ 1);\n", "x();\n\ny( 1);\n"),
        ("f('// no', `/* no */`); // yes", "f('// no', `/* no */`);"),
        ("x /* a */ y\n", "x y\n"),
        ("x /* a\n*/\ny", "x\ny"),
    ],
)
def test_comments_go(text: str, bare: str) -> None:
    assert JS.without_comments(text) == bare


def test_programs_of_others_are_the_same_without_comments(tmp_path: Path) -> None:
    """Node's own files: what a compiler of JavaScript makes of them does not change."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT RUN: no node")
    places = (
        sorted(Path("/usr").glob("share/nodejs/**/lib/*.js"))[:40]
        or sorted(Path("/usr").glob("lib/node_modules/**/lib/*.js"))[:40]
    )
    if not places:
        pytest.skip("NOT RUN: no files of JavaScript beside node")
    pairs = [(text, JS.without_comments(text)) for text in (place.read_text("utf-8", "replace") for place in places)]
    (tmp_path / "pairs.json").write_text(json.dumps(pairs))
    # What a function's own text is between tokens is not compared: V8's syntax check and the texts in quotes are.
    script = (
        "const vm = require('vm'); for (const [a, b] of JSON.parse(require('fs').readFileSync('pairs.json')))"
        " for (const t of [a, b]) try { new vm.Script(`(function () {${t}\\n})`);"
        " console.log('ok'); } catch (e) { console.log(e.message); }"
    )
    said = subprocess.run([node, "-e", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split("\n")[
        :-1
    ]
    assert len(said) == 2 * len(pairs) and said[::2] == said[1::2] and said.count("ok") > len(said) // 2
    assert sum(len(text) - len(bare) for text, bare in pairs) > 10_000
    for text, bare in pairs:
        assert re.sub(r"\s", "", JS.masked(text)) == re.sub(r"\s", "", JS.masked(bare))
