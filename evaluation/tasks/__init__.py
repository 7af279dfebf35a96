"""All tasks, a family a file; TASKS is the one table, and nothing else names them."""

from starmill.evaluation.task import Task
from starmill.evaluation.tasks import (
    asleep,
    bias,
    canitedit,
    cruxeval,
    ds1000,
    gsm8k,
    humaneval,
    humanevalpack,
    infilling,
    livecodebench,
    mbpp,
    multipl_e,
    plus,
    repositories,
)
from starmill.evaluation.tasks import santacoder_fim as fim

FAMILIES = (
    humaneval,
    plus,
    mbpp,
    cruxeval,
    infilling,
    humanevalpack,
    fim,
    gsm8k,
    canitedit,
    multipl_e,
    ds1000,
    repositories,
    livecodebench,
    bias,
    asleep,
)
TASKS: dict[str, Task] = {task.name: task for family in FAMILIES for task in family.TASKS}
