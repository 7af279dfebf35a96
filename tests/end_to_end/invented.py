"""Tasks of a benchmark that there is not, for tests of decontamination."""

from starmill.transforms.clean.overlap.tasks import Description, Task

WIDEST = '''def widest_gap(readings):
    """ Return the widest gap between two neighbouring readings of the thermometer once
    they are sorted, or zero where the thermometer was read fewer than two times.
    >>> widest_gap([4, 1, 9])
    5
    """
'''
WIDEST_SOLUTION = """    ordered = sorted(readings)
    gaps = [later - earlier for earlier, later in zip(ordered, ordered[1:])]
    return max(gaps, default=0)
"""
LINES = [
    {"task_id": "Lab/0", "prompt": WIDEST, "canonical_solution": WIDEST_SOLUTION, "entry_point": "widest_gap"},
    {
        "task_id": "Lab/1",
        "prompt": 'def keep_fruit(basket, fruit):\n    """Keep what of the basket has fruit in it."""\n',
        "canonical_solution": "    return [crate for crate in basket if fruit in crate]\n",
        "entry_point": "keep_fruit",
    },
    {
        "task_id": "Lab/2",
        "prompt": 'import os\n"""A module of tasks, with a docstring of its own."""\ndef third(x):\n    """Rank the given harvests of all '
        'the vineyards and tell the third largest of them, or none if there are fewer."""\n',
        "canonical_solution": "    return x + y\n",
        "entry_point": "third",
    },
]
DESCRIPTION = Description(prompt=("prompt",), solution=("canonical_solution",), entry="entry_point")
TASKS: list[Task] = DESCRIPTION.tasks(LINES, "lab.jsonl")
