"""How people mostly hold themselves: the weak prior of the fit to keypoints where no learned one is given.

One camera hardly sees some angles: turning of the thigh about itself, list of the pelvis, the trunk's lean towards it.
Standard deviations are wide against what people do in them while they walk or squat, and hold only what the picture
leaves open. Limits are the ranges that people reach, softer than a model's clamps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# coordinate without side: mean, standard deviation [deg]
HABITS: dict[str, tuple[float, float]] = {
    "hip_rotation": (0, 12),
    "hip_adduction": (-2, 15),
    "ankle_angle": (5, 20),
    "subtalar_angle": (0, 4),
    "mtp_angle": (0, 6),
    "lumbar_extension": (-5, 20),
    "lumbar_bending": (0, 10),
    "lumbar_rotation": (0, 12),
    "arm_rot": (0, 40),
    "arm_add": (-10, 40),
}

PELVIS_HABITS = ((0.0, 20.0), (0.0, 8.0))
"""Mean and standard deviation of the pelvis' tilt and list [deg]."""

# coordinate without side: smallest, largest value [deg]
LIMITS: dict[str, tuple[float, float]] = {
    "hip_flexion": (-30, 130),
    "hip_adduction": (-50, 30),
    "hip_rotation": (-45, 45),
    "knee_angle": (0, 150),
    "ankle_angle": (-45, 40),
    "subtalar_angle": (-25, 25),
    "mtp_angle": (-30, 40),
    "lumbar_extension": (-90, 40),
    "lumbar_bending": (-40, 40),
    "lumbar_rotation": (-45, 45),
    "elbow_flex": (0, 150),
    "arm_flex": (-70, 180),
    "arm_add": (-180, 60),
    "arm_rot": (-100, 100),
}

# coordinate without side: standard deviation of its acceleration, in parts of ACCELERATION
LIVELINESS: dict[str, float] = {
    "hip_flexion": 1.5,
    "arm_flex": 1.5,
    "knee_angle": 3.0,
    "ankle_angle": 3.0,
    "mtp_angle": 3.0,
    "elbow_flex": 3.0,
    "subtalar_angle": 0.5,
    "lumbar_extension": 0.5,
    "lumbar_bending": 0.5,
    "lumbar_rotation": 0.5,
}


def without_side(name: str) -> str:
    """A coordinate's name without ``_r`` or ``_l``."""
    return name[:-2] if name.endswith(("_r", "_l")) else name


def by_name(names: tuple[str, ...], table: dict[str, float], default: float) -> Array:
    """A table's values for these coordinates, shape [N]."""
    return np.array([table.get(without_side(name), default) for name in names])


def habits(names: tuple[str, ...]) -> tuple[Array, Array]:
    """Mean and inverse variance of each coordinate [rad, 1/rad²], shape [N]; zero where there is no habit."""
    mean = np.radians([HABITS.get(without_side(name), (0.0, 0.0))[0] for name in names])
    std = [HABITS.get(without_side(name), (0.0, np.inf))[1] for name in names]
    return mean, 1.0 / np.radians(std) ** 2


def limits(names: tuple[str, ...]) -> tuple[Array, Array]:
    """Smallest and largest value of each coordinate [rad], shape [N]."""
    pairs = np.radians([LIMITS.get(without_side(name), (-1e6, 1e6)) for name in names])
    return pairs[:, 0], pairs[:, 1]
