"""What the steps of a chain read and add, as they declare it; a chain that cannot work is refused before any work.

A step names the columns that it looks at (`reads`), and a step that annotates the columns that it gives (`adds`), at its class.
"""

import difflib
from collections.abc import Iterable, Sequence

import pyarrow as pa

from starmill.core import schema
from starmill.core.errors import UsageError
from starmill.transforms.step import PartStep, Step


def annotated(*names: str) -> pa.Schema:
    """Return these fields of ANNOTATIONS, for a step's `adds`. Raises KeyError for a name that is not one of them."""
    return pa.schema([schema.ANNOTATIONS.field(name) for name in names])


def check_chain(steps: Sequence[Step | PartStep], columns: Iterable[str]) -> None:
    """Raise UsageError if a step reads a column that neither `columns` nor a step before it gives.

    >>> from starmill.transforms.decide.quality import Alpha
    >>> try:
    ...     check_chain([Alpha()], ["language", "alpha_fractions", "alphanum_fraction"])
    ... except UsageError as error:
    ...     print(error)
    step alpha reads alpha_fraction, which nothing before it adds; the nearest there is alpha_fractions
    """
    known = list(columns)
    for place, step in enumerate(steps):
        for name in step.reads:
            if name in known:
                continue
            later = next((s.name for s in steps[place:] if name in getattr(s, "adds", pa.schema([])).names), None)
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            fix = f"put it after step {later}" if later else f"the nearest there is {near[0]}" if near else "there is none"
            raise UsageError(f"step {step.name} reads {name}, which nothing before it adds; {fix}")
        known += getattr(step, "adds", pa.schema([])).names
