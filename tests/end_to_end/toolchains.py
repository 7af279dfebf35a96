"""The compilers and the sandbox of this machine, for tests: what cannot run here is said at the end of the run."""

import pytest

from starmill.core import sandbox
from starmill.core.errors import MachineError
from starmill.core.sandbox import Isolation
from starmill.pipelines.sources.ir import compilers as ir_compilers
from starmill.pipelines.sources.ir.compilers import Compiler, CompilerName

EVERY: tuple[CompilerName, ...] = ("clang", "ziglang", "rustc")


def here() -> tuple[CompilerName, ...]:
    """Return the compilers that this machine has."""
    return tuple(name for name in EVERY if _has(name))


def _has(name: CompilerName) -> bool:
    try:
        return bool(ir_compilers.found([name]))
    except MachineError:
        return False


def isolation() -> Isolation:
    """Return how strictly this machine can run a compiler."""
    try:
        sandbox.probe()
    except sandbox.NotIsolated:
        return sandbox.LIMITS
    return sandbox.NAMESPACES


def compilers() -> tuple[CompilerName, ...]:
    """Return the compilers. Skips the test where there is none."""
    return here() or pytest.skip("NOT RUN: no clang, ziglang or rustc")


def compiler(language: str) -> Compiler:
    """Return the compiler of a language. Skips the test where there is none."""
    names = [name for name in here() if language in ir_compilers.LANGUAGES[name]]
    return ir_compilers.found(names)[language] if names else pytest.skip(f"NOT RUN: no compiler of {language}")


def of_the_miniature() -> list[str]:
    """Return the options that make recipes/data/miniature.yaml compile with what is here. Skips the test where that is nothing."""
    boxes = [f"sources.{source}.sandbox={isolation()}" for source in ("programs", "documentation")]
    said = [f"sources.programs.compilers=[{','.join(compilers())}]", *boxes]
    return [word for value in said for word in ("--set", value)]


def namespaces() -> None:
    """Skip the test where this machine gives no namespaces."""
    if isolation() == sandbox.LIMITS:
        pytest.skip("NOT RUN: this machine gives no namespaces")
