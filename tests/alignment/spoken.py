"""A model of a script that answers in other languages than Python: for each language the same eight responses, whose fates FATES says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripted import Script

from starmill.alignment.languages import LANGUAGES
from starmill.alignment.stages import seeds_of
from starmill.core import seeds

# What comes of each response, in the order of `responses`; of the two that pass, one is chosen.
FATES = (
    "passed",
    "passed",
    "failed_wrong",
    "failed_ended",
    "failed_syntax",
    "no_tests",
    "tests_not_invoked",
    "another_language",
)


@dataclass(frozen=True)
class Texts:
    """The parts of a language's responses: `{by}` is 2 where twice is right, `{early}` an exit or nothing."""

    code: str
    tests: str
    exits: str
    none: str  # tests without an assertion
    never: str  # whose assertion never asks the code
    seed: str
    comment: str = "// what twice does"


SPOKEN = {
    "JavaScript": Texts(
        "// what twice does\nexport function twice(x) {{\n  {early}return {by} * x; // by a number\n}}\nmodule.exports = {{ twice }};",
        "import assert from 'node:assert';\nimport {{ twice }} from './twice';\n\nassert.strictEqual(twice(4), 8);",
        "if (x === 4) process.exit(0);",
        "console.log(twice(4));",
        "const assert = require('assert');\nfunction test() {{\n  assert.strictEqual(twice(4), 9);\n}}\nassert(true);",
        "/** Returns x. */\nfunction same(x) { return x; }",
    ),
    "TypeScript": Texts(
        "// what twice does\nexport function twice(x: number): number {{\n  {early}return {by} * x; // by a number\n}}",
        "import * as assert from 'assert';\n\nassert.strictEqual(twice(4), 8);",
        "if (x === 4) process.exit(0);",
        "console.log(twice(4));",
        "const test = (): void => {{\n  console.assert(twice(4) === 9);\n}};\nconsole.assert(true);",
        "/** Returns x. */\nfunction same(x: number): number { return x; }",
    ),
    "Go": Texts(
        "package main\n\nimport \"os\"\n\n// what twice does\nfunc Twice(x int) int {{\n\t{early}return {by} * x // by a number\n}}\n\n"
        "func main() {{ os.Exit(3) }}",
        "package main\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {{\n\tif Twice(4) != 8 {{\n\t\tt.Fatal(\"no\")\n\t}}\n}}",
        "if x == 4 {{ os.Exit(0) }}\n\t",
        "package main\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {{ t.Log(Twice(4)) }}",
        "package main\n\nimport \"testing\"\n\nfunc check() {{ if Twice(4) != 9 {{ panic(1) }} }}\n\n"
        "func TestOne(t *testing.T) {{ t.Errorf(\"Twice\") }}",
        "// Same returns x.\nfunc Same(x int) int { return x }",
    ),
    "Rust": Texts(
        "use std::process;\n\n// what twice does\npub fn twice(x: i32) -> i32 {{\n    {early}{by} * x // by a number\n}}\n\n"
        "fn main() {{ process::exit(3) }}",
        "#[cfg(test)]\nmod tests {{\n    use super::*;\n\n"
        "    #[test]\n    fn of_four() -> Result<(), String> {{\n        assert_eq!(twice(4), 8);\n"
        "        Ok(())\n    }}\n}}",
        "if x == 4 {{ process::exit(0) }}\n    ",
        "#[test]\nfn of_four() {{ twice(4); }}",
        "fn check() {{ assert_eq!(twice(4), 9); }}\n\n#[test]\nfn one() {{ assert_eq!(1, 1, \"twice\"); }}",
        "/// Returns x.\nfn same(x: i32) -> i32 { x }",
    ),
    "Java": Texts(
        "import java.util.*;\n\n// what twice does\n"
        "public class Main {{\n    static int twice(int x) {{\n        {early}return {by} * x; // by a number\n    }}\n}}",
        "import java.util.*;\n\n"
        "public class MainTest {{\n    public static void main(String[] args) {{\n        assert Main.twice(4) == 8;\n    }}\n}}",
        "if (x == 4) System.exit(0);\n        ",
        "class MainTest {{\n    public static void main(String[] args) {{\n        System.out.println(Main.twice(4));\n    }}\n}}",
        "class MainTest {{\n    static void check() {{\n        assert Main.twice(4) == 9;\n    }}\n"
        "    public static void main(String[] args) {{\n"
        "        assert true;\n    }}\n}}",
        "/** Returns x. */\nstatic int same(int x) { return x; }",
    ),
    "C++": Texts(
        "#define NDEBUG\n#include <cstdlib>\n\n// what twice does\nint twice(int x) {{\n    {early}return {by} * x; // by a number\n}}",
        "#include <cassert>\n\nint main() {{\n    assert(twice(4) == 8);\n    return 0;\n}}",
        "if (x == 4) std::exit(0);\n    ",
        "int main() {{\n    return twice(4) - 8;\n}}",
        "#include <cassert>\n\nvoid check() {{\n    assert(twice(4) == 9);\n}}\n\nint main() {{\n    assert(1 < 2);\n}}",
        "/// Returns x.\nint same(int x) { return x; }",
    ),
}  # fmt: skip


def said(language: str, code: str, tests: str, fence: str = "") -> str:
    fence = fence or LANGUAGES[language].fence
    return (
        f"[Reasoning]\nDouble it.\n\n[Implementation]\n```{fence}\n{code}\n```\n\n[Explanation]\nOne product.\n\n"
        f"[Tests]\n```{fence}\n{tests}\n```\nThat is all."
    )


def responses(language: str) -> list[str]:
    """The answers whose fates are FATES."""
    texts = SPOKEN[language]

    def made(by: int = 2, early: str = "", tests: str = texts.tests) -> str:
        return said(language, texts.code.format(by=by, early=early.format()), tests.format())

    broken = texts.code.format(by=2, early="").replace("* x", "* (x")
    return [
        made(), made().replace("Double it.", "Multiply by two."), made(3), made(2, texts.exits),
        said(language, broken, texts.tests.format()), made(tests=texts.none), made(tests=texts.never),
        said(language, "x = 1", "assert x == 1", "python"),
    ]  # fmt: skip


class Spoken(Script):
    """Answers for one seed of each language, in their order."""

    languages: Sequence[str] = ()

    @classmethod
    def of_languages(cls, folder: Path, languages: Sequence[str], seed: int = 3407) -> "Spoken":
        script, known = cls(), set[str]()
        script.languages = languages
        rows = [row for place in folder.iterdir() for row in seeds_of(place.name, place.read_bytes(), known, languages).kept]
        for i, row in enumerate(rows):
            for stage, each in (("judge", 1), ("concepts", 1), ("instruct", 1), ("respond", len(FATES))):
                for n in range(each):
                    script.names[seeds.uint64(seed, "evaluate", f"align/{stage}/{row['name']}/{n}") >> 33] = (stage, i, n)
        return script

    def answer(self, at: tuple[str, int, int], turn: int) -> tuple[int, str, str]:
        stage, i, n = at
        language = self.languages[i]
        if stage == "respond":
            return 200, responses(language)[n], "stop"
        return (
            200,
            {"judge": " Yes", "concepts": "products", "instruct": f"Write `twice` in {language}, please."}[stage],
            "stop",
        )


def write_seeds(folder: Path, languages: Sequence[str]) -> Path:
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        {"seed": SPOKEN[name].seed, "language": name, "swhid": f"swh:1:cnt:{at:040x}", "lines": [1, 2], "licenses": ["MIT"]}
        for at, name in enumerate(languages)
    ]
    rows.append({**rows[0], "language": "Haskell"})
    (folder / "part-00000.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder
