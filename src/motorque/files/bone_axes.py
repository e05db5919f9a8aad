"""What readers of motion capture share: Euler rotations, the way into our ground, limits on size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import FileFormatError
from motorque.series.bones import BoneMotion

Array = NDArray[np.float64]

TO_GROUND = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
"""Ground (X forward, Y up, Z to the right) from the axes of animation files (X to the left, Y up, Z forward)."""

MOST_POSES = 8_000_000
"""Frames times joints that a recording may have: 100 bytes each, 0.8 GB."""


def check_size(path: Path, frames: int, joints: int) -> None:
    """Refuse a recording whose poses would fill the memory; raises :class:`FileFormatError`."""
    if frames * joints > MOST_POSES:
        raise FileFormatError(
            f"{path}: {frames} frames of {joints} joints are more than the {MOST_POSES} poses that are read at once; "
            "cut the recording"
        )


def euler_rotations(order: str, degrees: Array) -> Array:
    """Rotation matrices of Euler angles, shape [..., 3, 3].

    Args:
        order: Axes from left to right in the matrix product, small letters for axes that stay, capital ones for axes
            that turn along, as scipy has it; ``ZYX`` is Rz Ry Rx.
        degrees: Angles in that order [°], shape [..., number of axes].
    """
    shape = degrees.shape[:-1]
    matrices = Rotation.from_euler(order, degrees.reshape(-1, len(order)), degrees=True).as_matrix()
    return np.asarray(matrices.reshape(*shape, 3, 3))


def in_ground(
    times: Array, names: list[str], parents: list[int], positions: Array, rotations: Array, offsets: Array
) -> BoneMotion:
    """A recording in an animation file's axes, turned into ground; the bones' axes are renamed alike."""
    turn = TO_GROUND
    return BoneMotion(
        times, tuple(names), tuple(parents), positions @ turn.T, turn @ rotations @ turn.T, offsets @ turn.T
    )
