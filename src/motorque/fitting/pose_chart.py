"""Rotations over time as vectors over time, so that what smooths vectors can smooth rotations.

A joint that stays near some rotation is given by the rotation vector from there, in its parent's axes. One that turns
far (a root on its way round a corner, an arm) is rolled out: the reference moves along with it, and the vector counts
how far the reference has turned so far, like the trace that a ball leaves on the plane on which it is rolled. To first
order in noise both are the same as noise on the rotation vectors of each frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

NEAR = 1.2
"""Largest angle from the mean at which a joint still counts as one that stays [rad]: there the rotation vector's rate
and the angular velocity differ by up to a third across the axis, and noise by as much."""
LOCAL = 0.1
"""Standard deviation of the weights of the moving reference along time [s]: short against a step, long to noise."""


@dataclass(frozen=True, eq=False)
class PoseChart:
    """Where vectors are counted from.

    Args:
        reference: Rotations, shape [T, J, 3, 3].
        offset: Vectors that the reference itself has [rad], shape [T, J, 3].
    """

    reference: Array
    offset: Array

    @staticmethod
    def of(rotations: Array, rate: float) -> PoseChart:
        """The chart of a recording.

        Args:
            rotations: Local rotations without gaps, shape [T, J, 3, 3].
            rate: Frames per second.
        """
        mean = nearest_rotations(rotations.mean(0))
        reference = np.repeat(mean[None], len(rotations), axis=0)
        offset = np.zeros(rotations.shape[:3])
        angles = np.linalg.norm(vectors_of(rotations @ reference.swapaxes(-1, -2)), axis=-1)
        for joint in np.flatnonzero(angles.max(0) > NEAR):
            local = gaussian_filter1d(rotations[:, joint], LOCAL * rate, axis=0, mode="nearest", truncate=3.0)
            path = nearest_rotations(local)
            steps = vectors_of(path[1:] @ path[:-1].swapaxes(-1, -2))
            reference[:, joint] = path
            offset[1:, joint] = np.cumsum(steps, axis=0)
        return PoseChart(reference, offset)

    def vectors(self, rotations: Array) -> Array:
        """Rotations [T, J, 3, 3] as vectors [rad], shape [T, J, 3]."""
        return self.offset + vectors_of(rotations @ self.reference.swapaxes(-1, -2))

    def rotations(self, vectors: Array) -> Array:
        """Vectors [rad], shape [T, J, 3], as rotations [T, J, 3, 3]."""
        turned: Array = matrices_of(vectors - self.offset) @ self.reference
        return turned


def vectors_of(rotations: Array) -> Array:
    """Rotation vectors of at most half a turn [rad], [..., 3, 3] → [..., 3]."""
    flat = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec()
    return np.asarray(flat).reshape(rotations.shape[:-1])


def matrices_of(vectors: Array) -> Array:
    """Rotation matrices of rotation vectors [rad], [..., 3] → [..., 3, 3]."""
    flat = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix()
    return np.asarray(flat).reshape(*vectors.shape, 3)


def nearest_rotations(matrices: Array) -> Array:
    """The rotations nearest to matrices, such as means of rotations; shape [..., 3, 3]."""
    u, _, vt = np.linalg.svd(matrices)
    sign = np.linalg.det(u @ vt)
    u = u.copy()
    u[..., -1] *= sign[..., None]
    nearest: Array = u @ vt
    return nearest


def turned_by(vectors: Array) -> Array:
    """By how much a rotation turns, in its parent's axes, per change of its rotation vector: the left Jacobian.

    Args:
        vectors: Rotation vectors [rad], shape [..., 3].

    Returns:
        Shape [..., 3, 3].

    Source: Chirikjian, Stochastic Models, Information Theory, and Lie Groups, vol. 2 (2012), equation 10.86.
    """
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vectors, -1, 0)
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*vectors.shape, 3)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6 - angle**2 / 120, (safe - np.sin(safe)) / safe**3)
    jacobian: Array = np.eye(3) + first * cross + second * (cross @ cross)
    return jacobian
