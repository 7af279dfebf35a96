"""What a block of tests really executes: assertions that the block reaches when it is run, and that ask something of the code."""

import ast
from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef


def assertions(code: ast.Module, tests: ast.Module) -> list[ast.Assert]:
    """Return the assertions that are reached, if what is reached names something that the code defines; else none.

    An assertion counts at the top level, in the blocks there, and in functions of the tests that are called from there.

    >>> found = lambda tests: len(assertions(ast.parse("def f(): pass"), ast.parse(tests)))
    >>> found("def t():\\n  assert f()\\nt()"), found("def t():\\n  assert f()"), found("assert 1")
    (1, 0, 0)
    """
    defined: dict[str, Scope] = {node.name: node for node in tests.body if isinstance(node, FUNCTIONS)}
    reached: list[ast.Assert] = []
    names: set[str] = set()
    ahead: list[Scope] = [tests]
    seen: set[str] = set()
    while ahead:
        for node in _executed(ahead.pop()):
            if isinstance(node, FUNCTIONS):
                defined[node.name] = node
            elif isinstance(node, ast.Assert):
                reached.append(node)
            elif isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called = node.func.id
                if called in defined and called not in seen:
                    seen.add(called)
                    ahead.append(defined[called])
    return reached if names & bound(code) else []


def bound(code: ast.Module) -> set[str]:
    """Return the names that the top level of a program defines or assigns; what it imports is not its own."""
    found = {node.name for node in code.body if isinstance(node, (*FUNCTIONS, ast.ClassDef))}
    for node in code.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return found


def functions(code: ast.Module) -> tuple[str, ...]:
    """Return the names of a program's functions and classes, in their order, methods among them."""
    nodes = (node for node in ast.walk(code) if isinstance(node, (*FUNCTIONS, ast.ClassDef)))
    return tuple(node.name for node in sorted(nodes, key=lambda node: node.lineno))


def _executed(scope: Scope) -> Iterator[ast.AST]:
    """Yield the nodes that are executed with a scope: of functions that it defines no more than that they are, of classes nothing."""
    ahead: list[ast.AST] = [*reversed(scope.body)]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.ClassDef | ast.Lambda):
            continue
        yield node
        if not isinstance(node, FUNCTIONS):
            ahead += reversed([*ast.iter_child_nodes(node)])
