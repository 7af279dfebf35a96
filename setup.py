"""Packaging rule without exception: folder ``x/`` at the root is imported as ``starmill.x``.

The package list is computed here so that a new subpackage can never be missing from the wheel.
"""

from setuptools import find_packages, setup

ROOTS = ("core", "transforms", "reports", "pipelines", "model", "evaluation", "alignment", "trainer", "serving", "cli")

setup(
    packages=[f"starmill.{p}" for p in find_packages(include=[g for r in ROOTS for g in (r, f"{r}.*")])]
    + ["starmill.recipes", "starmill.infra"],  # values only: YAML files, and what `starmill launch` submits; no Python
    package_dir={f"starmill.{r}": r for r in (*ROOTS, "recipes", "infra")},
    package_data={
        "": ["data/*", "*.yaml", "*.txt", "*.json", "*.go", "go.mod", "go.sum", "py.typed"],
        "starmill.recipes": ["data/*.yaml", "train/*.yaml", "encoders/*.yaml", "align/*.yaml", "benchmarks/*"],
        "starmill.infra": ["slurm/*", "kubernetes/train/**/*.yaml"],
    },
)
