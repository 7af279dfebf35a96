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
