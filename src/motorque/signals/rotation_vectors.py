"""Rotation vectors over time without leaps from one side of a half turn to the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def without_leaps(vectors: Array) -> Array:
    """The same rotations by vectors that go on where those of at most half a turn leap.

    A rotation by θ about an axis is one by θ + 2πk about it too; k changes only where the axis turns round: across half
    a turn, where it becomes -k - 1 about the new axis, and through no turn at all, where it becomes -k. A rotation that
    is turned through no turn on its way to a whole one has no such vectors; there the leap stays.

    Args:
        vectors: Rotation vectors of at most half a turn [rad], shape [T, ..., 3].
    """
    paths = vectors.reshape(len(vectors), -1, 3).copy()
    angle = np.linalg.norm(paths, axis=-1)
    axis = paths / np.maximum(angle, 1e-9)[..., None]
    dot = (paths[1:] * paths[:-1]).sum(-1)
    across = (dot < 0) & (angle[1:] + angle[:-1] > np.pi)
    for path in np.flatnonzero(across.any(axis=0)):
        counts, k = np.zeros(len(paths)), 0
        # Few: a person's root passes half a turn some times a minute.
        for frame in np.flatnonzero(dot[:, path] < 0):
            k = -k - 1 if across[frame, path] else -k
            counts[frame + 1 :] = k
        paths[:, path] += 2 * np.pi * counts[:, None] * axis[:, path]
    return np.asarray(paths.reshape(vectors.shape))
