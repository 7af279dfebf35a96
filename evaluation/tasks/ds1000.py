"""DS-1000 (Lai et al. 2022): small questions on libraries of data, judged by the tests of each, with the libraries of its year.

With other versions of the libraries, right answers fail: 65 of 955 with those of 2026. LIBRARIES has the versions; a Python that has
them is named with `--python`. TensorFlow and PyTorch are tasks of their own, since few environments have them. Tests and solution share
a namespace, as the benchmark has it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task

FILE = "ds1000/ds1000.jsonl"
SOURCE = "Lai et al. 2022, arXiv 2211.11501"
STOPS = ("</code>", "# SOLUTION END", "\nEND SOLUTION")
SECONDS = 60.0  # of CPU: some fit models
MEMORY = 4 << 30
# The environment that its answers were written for, and what of its libraries is imported before.
VERSIONS = (
    "numpy==1.26.4 pandas==1.5.3 matplotlib==3.8.4 scikit-learn==1.4.0 scipy==1.12.0 seaborn==0.13.2 gensim==4.3.2 statsmodels==0.14.1 "
    "pyyaml xgboost==2.0.3"
)
LIBRARIES = tuple(
    "numpy pandas matplotlib.pyplot scipy scipy.optimize scipy.sparse scipy.stats seaborn sklearn sklearn.linear_model".split()
)
REST = ("Pandas", "Numpy", "Matplotlib", "Scipy", "Sklearn")


def check(completion: str, context: str) -> Job:
    """Judge what stands where a problem has its hole: by its tests, and by those that look at its text where it has some."""
    tests = f"code = {completion!r}\ntest_execution(code)\n"
    if "def test_string(" in context:
        tests += "test_string(code)\n"
    return Job(context, tests, SECONDS, MEMORY, together=True)


def _problem(row: Mapping[str, Any]) -> Problem:
    context = row["code_context"]
    name = f"{row['metadata']['library']}/{row['metadata']['library_problem_id']}"
    return Problem(name, row["prompt"], partial(check, context=context), row["reference_code"], "result = None\n")


def read(rows: Rows, libraries: tuple[str, ...]) -> list[Problem]:
    """Return the problems of some libraries, by their place in the file: several have the same answer."""
    return [_problem(row) for row in rows[FILE] if row["metadata"]["library"] in libraries]


def _task(name: str, libraries: tuple[str, ...], wanted: tuple[str, ...]) -> Task:
    return Task(
        name, f"questions on {', '.join(libraries)}", SOURCE, (FILE,), partial(read, libraries=libraries), STOPS, 1024, samples=40,
        libraries=wanted,
    )  # fmt: skip


TASKS = (
    _task("ds1000", REST, LIBRARIES),
    _task("ds1000_pytorch", ("Pytorch",), ("numpy", "torch")),
    _task("ds1000_tensorflow", ("Tensorflow",), ("numpy", "tensorflow")),
)
