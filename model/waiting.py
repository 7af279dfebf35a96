"""Which prompts of those that wait are read together: a batch of prompts is padded to the longest, and padding is computed like tokens.

So a batch takes the first that waits, and others of about its length, which others may have come before. The first of all always goes:
nobody waits for ever. Equal prompts are read once, and cost nothing more.
"""

from collections.abc import Iterable, Sequence

PADDED, FEW = 1.2, 64  # places of a batch: at most so many for each token, and so many more
PASSED = 256  # prompts of other lengths that are passed over to find those


def together(waiting: Iterable[Sequence[int]], most: int) -> list[int]:
    """Return the places, from 0, of at most `most` prompts that are read together; there is at least one.

    >>> together([[1] * 200, [2] * 900, [3] * 190, [2] * 900], 3)
    [0, 2]
    >>> together([[2] * 900, [3] * 190, [2] * 900], 3)
    [0, 2]
    """
    taken, read = list[int](), set[tuple[int, ...]]()
    longest = tokens = 0
    for at, prompt in enumerate(waiting):
        if len(taken) == most or at - len(taken) == PASSED:
            break
        if (one := tuple(prompt)) not in read:
            wide, all_tokens = max(longest, len(one)), tokens + len(one)
            if taken and wide * (len(read) + 1) > PADDED * all_tokens + FEW:
                continue
            read.add(one)
            longest, tokens = wide, all_tokens
        taken.append(at)
    return taken
