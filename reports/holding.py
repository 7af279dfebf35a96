"""Which parts of a workspace may hold what a query names, from the hashes that ingest wrote down: a few small reads (core/hashes.py)."""

from starmill.core import hashes
from starmill.core.dataset import Workspace, at_once
from starmill.core.terminal import tell_damage
from starmill.reports.query import Query


def parts(workspace: Workspace, query: Query) -> list[int] | None:
    """Return the parts, sorted, outside of which no stage has a record of the query. None where only a look into each part tells.

    That is so where an older starmill made the workspace, the first stage is not complete, or a name is given as a view hides it.
    """
    wanted, groups = query.names(), workspace.groups()
    return None if wanted is None or groups is None else _all_of(workspace, groups, wanted)


def like(workspace: Workspace, query: Query) -> list[int]:
    """Return the parts with files that are called as the query's, in whatever folder; none where that is not known."""
    called: list[tuple[str, ...]] = [(hashes.file(path),) for _, path in query.places]
    return _all_of(workspace, workspace.groups() or (), called) or []


def _all_of(workspace: Workspace, groups: tuple[hashes.Group, ...], wanted: list[tuple[str, ...]]) -> list[int] | None:
    """Return the parts that have all names of one of the tuples; None where a file of hashes is damaged or gone."""
    names = sorted({hashes.of(name) for some in wanted for name in some})
    looks = [(group, name) for name in names for group in groups]
    found: dict[int, set[int]] = {name: set() for name in names}
    held = at_once(lambda look: _look(workspace, *look), looks, 1 if workspace.is_local else 32)
    for (_, name), some in zip(looks, held, strict=True):
        if some is None:
            return None
        found[name].update(some)
    return sorted(set().union(*(set.intersection(*(found[hashes.of(name)] for name in some)) for some in wanted)))


def _look(workspace: Workspace, group: hashes.Group, name: int) -> list[int] | None:
    try:
        start, end = hashes.entries(group.bits, workspace.read(group.path, *hashes.fan_out(group.bits, name)))
        held = workspace.read(group.path, start, end) if start < end else b""
        if len(held) != end - start:
            raise ValueError(f"its bytes end before {end}")
        return [group.first + part for part in hashes.parts_of(name, held)]
    except FileNotFoundError:  # a run that ended just now wrote others
        return None
    except ValueError as error:
        tell_damage(workspace.path(group.path), str(error))
        return None
