"""Each row finds what its language's tools call a documented function, and the row's node types are in its grammar."""

import re
from dataclasses import fields

import pytest
from tree_sitter_language_pack import get_language

from starmill.core.names import languages
from starmill.core.parsing import answers
from starmill.pipelines.sources.functions import child
from starmill.pipelines.sources.functions.languages import LANGUAGES

# A file of each language, whose first function is a seed and whose second is not: the reason why.
FILES = """
=== Python: no_documentation
import math


def area(r):
    '''Of a circle.'''
    return math.pi * r * r


def b(x):
    return x
=== JavaScript: no_documentation
import { pi } from 'numbers';

/** Of a circle. */
export function area(r) {
  return pi * r * r;
}

// no JSDoc
function b(x) { return x; }
=== TypeScript: no_value_returned
import { pi } from 'numbers';

/** Of a circle. */
export default function area(r: number): number {
  return pi * r * r;
}

/** B. */
function b(x: number) { x += 1; }
=== TSX: no_value_returned
import { pi } from 'numbers';

/** Of a circle. */
function area(r: number) {
  return <i>{pi * r * r}</i>;
}

/** B. */
function b(x: number) { x += 1; }
=== Go: no_documentation
package p

import (
	"math"
	"os"
)

// Area of a circle.
// In square metres.
func Area(r float64) float64 {
	return math.Pi * r * r
}

//go:noinline
func B(x int) int { return x }
=== Rust: no_value_returned
use std::f64::consts::PI;

/// Of a circle.
/// In square metres.
#[inline]
pub fn area(r: f64) -> f64 {
    PI * r * r
}

/// B.
fn b(x: i32) {}
=== Java: no_value_returned
import java.util.List;

class Circle {
    /** Of a circle. */
    public static double area(List<Double> r) {
        return 3 * r.get(0);
    }

    /** B. */
    static void b(int x) { x += 1; }
}
=== C++: no_documentation
#include <cmath>
#include <vector>

namespace round {
/** Of a circle. */
template <class T> T area(T r) {
    return M_PI * r * r;
}

/* no Doxygen */
int b(int x) { return x; }
}
"""
IMPORTS = {"Go": 'import "math"\n', "C++": "#include <cmath>\n#include <vector>\n"}
SAID = {
    "Go": "// Area of a circle.\n// In square metres.",
    "Rust": "/// Of a circle.\n/// In square metres.",
    "Python": "'''Of a circle.'''",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_row_finds_the_documented_function_and_its_imports(language: str) -> None:
    [(reason, text)] = re.findall(rf"=== {re.escape(language)}: (\w+)\n(.*?)(?====|\Z)", FILES, re.DOTALL)
    [[found, other]] = answers(child.__name__, "sources", [(language, text)])
    assert (found["name"].lower(), found["reason"], found["parameters"], found["needs"], found["own_imports"]) == (
        "area",
        "",
        1,
        [],
        [],
    )
    assert (other["name"].lower(), other["reason"]) == ("b", reason)
    seed = found["text"]
    assert seed[: found["imports"]] + "\n" == IMPORTS.get(language, text[: text.index("\n")] + "\n")
    assert seed[slice(*found["documentation"])] == SAID.get(language, "/** Of a circle. */")
    lines = text.split("\n")[found["first"] - 1 : found["last"]]
    assert [line.strip() for line in lines] == [line.strip() for line in seed[found["imports"] :].strip("\n").split("\n")]


def test_every_language_is_a_known_one_and_its_words_are_its_grammars() -> None:
    assert {*LANGUAGES} <= {*languages()}
    for row in LANGUAGES.values():
        grammar = get_language(row.grammar)  # type: ignore[arg-type]
        kinds = {grammar.node_kind_for_id(n) for n in range(grammar.node_kind_count)}
        said = [word for f in fields(row) if isinstance(value := getattr(row, f.name), tuple) for word in value]
        assert {*said} <= kinds, row.grammar
