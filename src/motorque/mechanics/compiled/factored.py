"""A symmetric positive definite system as straight-line code, by Gaussian elimination that leaves zeros alone.

The mass matrix of a tree has zeros between branches, and where the next unknown to be eliminated is always one that few
others depend on, none of them fills up. Which entries are zeros is known as the code is written.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 6.5 (LTDL factorization); the order is the greedy
minimum degree (Tinney and Walker, Proceedings of the IEEE 55, 1967), which on a tree without couplers fills nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from motorque.mechanics.compiled.pivots import Shrinkage
from motorque.mechanics.compiled.trace import Symbol


def solve(matrix: Sequence[Sequence[Symbol]], right: Sequence[Symbol]) -> tuple[list[Symbol], Symbol]:
    """The solution of ``matrix @ x = right``, and how far elimination shrinks the diagonal at most (see `pivots`).

    Args:
        matrix: Rows of a symmetric positive definite matrix, shape [n, n].
        right: Shape [n].

    Returns:
        Shape [n], infinite or NaN where the matrix is singular to the last digit; and one number.
    """
    rows, values = [list(row) for row in matrix], list(right)
    waiting = set(range(len(values)))
    shrinkage = Shrinkage(right[0].trace)
    eliminated: list[tuple[int, Symbol, dict[int, Symbol]]] = []
    while waiting:
        pivot = min(waiting, key=lambda p: (sum(rows[p][c].value != 0 for c in waiting), -p))
        waiting.remove(pivot)
        inverse = 1.0 / rows[pivot][pivot]
        shrinkage.single(matrix[pivot][pivot], inverse)
        touched = sorted(c for c in waiting if rows[pivot][c].value != 0)
        gains = {c: rows[pivot][c] * inverse for c in touched}
        part = values[pivot] * inverse
        for place, r in enumerate(touched):
            values[r] = values[r] - rows[pivot][r] * part
            for c in touched[place:]:
                rows[r][c] = rows[c][r] = rows[r][c] - gains[r] * rows[pivot][c]
        eliminated.append((pivot, part, gains))
    for pivot, part, gains in reversed(eliminated):
        for c, gain in gains.items():
            part = part - gain * values[c]
        values[pivot] = part
    return values, shrinkage.largest()
