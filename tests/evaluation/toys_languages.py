"""One problem of our own in each language, in the layouts of the published files: a sum of two numbers."""

from typing import Any

# What is asked, a right answer, a wrong one, and tests that follow it.
SUMS = {
    "cpp": ("#include<assert.h>\n#include<stdio.h>\nlong add(long x, long y) {\n", "    return x + y;\n", "    return x;\n",
            "}\nint main() {\n    auto candidate = add;\n    assert(candidate((2), (3)) == (5));\n}\n"),
    "js": ("function add(x, y){\n", "    return x + y;\n}\n", "    return x;\n}\n",
           "const assert = require('node:assert');\n\nfunction test() {\n  assert.deepEqual(add(2, 3),5);\n}\n\ntest();\n"),
    "lua": ("local function add(x, y)\n", "    return x + y\nend\n", "    return x\nend\n",
            "lu = require('luaunit')\n\nfunction test_humaneval()\n    lu.assertEquals(add(2, 3), 5)\nend\n\nos.exit(lu.LuaUnit.run())\n"),
    "php": ("<?php\nfunction add($x, $y) {\n", "    return $x + $y;\n}\n", "    return $x;\n}\n",
            "function test(): void {\n    if (add(2, 3) !== 5) { throw new Exception(\"Test failed!\"); }\n}\n\ntest();\n"),
    "pl": ("sub add {\n    my($x, $y) = @_;\n", "    return $x + $y;\n}\n", "    return $x;\n}\n",
           "sub testhumaneval {\n    if(add(2, 3) == 5) {\n    print \"ok!\" }else{\n    exit 1;\n    }\n}\n\ntesthumaneval();\n"),
    "r": ("add <- function(x, y) {\n", "    x + y\n}\n", "    x\n}\n",
          "test_humaneval <- function() {\n    stopifnot(isTRUE(all.equal(add(2, 3), 5)))\n}\ntest_humaneval()\n"),
    "rb": ("def add(x, y)\n", "    x + y\nend\n", "    x\nend\n",
           "require 'test/unit'\nclass TestHumanEval < Test::Unit::TestCase\n  def test_add\n    assert_equal(5, add(2, 3))\n  end\nend\n"),
    "rs": ("fn add(x: isize, y: isize) -> isize {\n", "    x + y\n", "    let _ = y; x\n",
           "}\n\nfn main() {\n    let candidate = add;\n    assert_eq!(candidate(2, 3), 5);\n}\n"),
    "sh": ("add() {\n", "    echo $(($1 + $2))\n", "    echo $1\n",
           "}\n\nset -e\nrun_test() {\n    [[ $(add \"2\" \"3\") = \"5\" ]]\n}\n\nrun_test\n"),
    "d": ("import std.math;\nlong add(long x, long y) \n", "{\n    return x + y;\n}\n", "{\n    return x;\n}\n",
          "unittest\n{\n    alias candidate = add;\n\n    assert(candidate(2L, 3L) == 5L);\n}\nvoid main(){}\n"),
    "go": ("package add_test\n\nimport (\n    \"testing\"\n    \"fmt\"\n)\n\nfunc add(x int, y int) int {\n", "    return x + y\n}\n",
           "    return x\n}\n",
           "func TestAdd(t *testing.T) {\n  candidate := add\n\tif fmt.Sprintf(\"%v\", candidate(2, 3)) != \"5\" {\n"
           "\t\tt.Errorf(\"no\")\n\t}\n}\n"),
    "java": ("import org.javatuples.*;\nclass Problem {\n    public static long add(long x, long y) {\n", "        return x + y;\n    }\n",
             "        return x;\n    }\n",
             "    }\n    public static void main(String[] args) {\n    assert(add((2l), (3l)) == (5l));\n    }\n\n}\n"),
    "jl": ("function add(x::Int64, y::Int64)::Int64 \n", "    x + y\nend\n", "    x\nend\n",
           "using Test\n\n@testset begin\n\ncandidate = add;\n\t@test(candidate(2, 3) == 5)\nend\n"),
    "rkt": ("#lang racket\n\n(define (add x y)\n", "    (+ x y))\n", "    x)\n",
            "(require rackunit)\n\n(define (test-humaneval) \n\n  (let (( candidate add))\n    (check-within (candidate 2 3) 5 0.001)\n"
            "))\n\n(test-humaneval)\n"),
    "scala": ("object Problem {\n    def add(x : Long, y : Long) : Long = {\n", "        return x + y\n    }\n",
              "        return x\n    }\n",
              "    }\n    def main(args: Array[String]) = {\n    assert(add((2l), (3l)) == (5l));\n    }\n\n}\n"),
    "swift": ("func add(x: Int, y: Int) -> Int {\n", "    return x + y\n", "    return x\n", "}\n\nassert(add(x: 2, y: 3) == 5)\n"),
    "ts": ("function add(x: number, y: number): number {\n", "    return x + y;\n}\n", "    return x;\n}\n",
           "declare var require: any;\nconst assert = require('node:assert');\n\nfunction test() {\n  assert.deepEqual(add(2, 3),5);\n"
           "}\n\ntest();\n"),
}  # fmt: skip
# Of HumanEvalPack: declaration, solution, a solution with a bug, tests.
PACKS = {
    "js": ("const add = (x, y) => {\n", "  return x + y;\n}\n\n", "  return x - y;\n}\n\n",
           "const testAdd = () => {\n  console.assert(add(2, 3) === 5)\n}\n\ntestAdd()\n"),
    "java": ("class Solution {\n    public int add(int x, int y) {\n", "        return x + y;\n    }\n}", "        return x - y;\n    }\n}",
             "public class Main {\n    public static void main(String[] args) {\n        if (new Solution().add(2, 3) != 5) {\n"
             "            throw new AssertionError();\n        }\n    }\n}"),
    "cpp": ("#include<stdio.h>\nusing namespace std;\nint add(int x, int y){\n", "    return x + y;\n}\n", "    return x - y;\n}\n",
            "#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (add(2, 3) == 5);\n}\n"),
    "go": ("\nfunc Add(x int, y int) int {\n", "    return int(math.Abs(float64(Plus(x, y))))\n}\n\n", "    return x - y\n}\n\n",
           "func TestAdd(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(5, Add(2, 3))\n}\n"),
    "rust": ("\nuse rand::Rng;\nuse regex::Regex;\nuse md5;\n\nfn add(x:i32, y: i32) -> i32{\n", "\n    return x + y;\n\n}\n",
             "\n    return x - y;\n\n}\n",
             "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn test_add() {\n        assert_eq!(add(2, 3), 5);\n"
             "    }\n\n}\n"),
}  # fmt: skip
CONTEXT = """
import numpy as np

def exec_test(result, ans):
    try:
        np.testing.assert_array_equal(result, ans)
        return 1
    except AssertionError:
        return 0

exec_context = r'''
import numpy as np
a = test_input
[insert]
'''

def test_execution(solution):
    test_env = {"test_input": np.arange(4)}
    exec(exec_context.replace("[insert]", solution), test_env)
    assert exec_test(test_env["result"], np.arange(4) * 2)
"""


def rows() -> dict[str, list[dict[str, Any]]]:
    """The rows of each file."""
    found: dict[str, list[dict[str, Any]]] = {}
    for language, (prompt, _, _, tests) in SUMS.items():
        found[f"multipl_e/humaneval-{language}.jsonl"] = [{"name": "HumanEval_0_add", "prompt": prompt, "tests": tests}]
    for language, (declaration, right, buggy, test) in PACKS.items():
        found[f"humanevalpack/humanevalpack-{language}.jsonl"] = [
            {
                "task_id": f"{language}/0", "declaration": declaration, "prompt": f"// Add two.\n{declaration}", "entry_point": "add",
                "canonical_solution": right, "buggy_solution": buggy, "test": test, "docstring": "Add.", "instruction": "Write add.",
            }
        ]  # fmt: skip
    (go,) = found["humanevalpack/humanevalpack-go.jsonl"]
    # It calls a function that stands in its prompt alone, and a package that nothing imports.
    go["prompt"] = f"func Plus(x int, y int) int {{\n    return x + y\n}}\n{go['declaration']}"
    go |= {"import": "", "test_setup": 'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n'}
    string = "\ndef test_string(solution):\n    assert 'for' not in solution\n"
    metadata = [{"library": name, "library_problem_id": at} for name in ("Numpy", "Pytorch", "Tensorflow") for at in range(2)]
    found["ds1000/ds1000.jsonl"] = [
        {
            "prompt": "Double a.\n<code>\na = np.arange(4)\n</code>\nBEGIN SOLUTION\n<code>\n", "reference_code": "result = a * 2",
            "metadata": one, "code_context": CONTEXT + string * one["library_problem_id"],
        }
        for one in metadata
    ]  # fmt: skip
    return found
