"""Ground forces that were estimated from the motion, and so move with its errors.

Without force plates the ground is taken to supply what Newton's law asks for: the forces on the root vanish. Whatever
noise does to them is passed on to the feet, each by its share of the load, and from there to the torques. How the feet
share a load, which the motion does not tell, is left as it was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.mechanics.twists import coordinate_bodies
from motorque.series import Load, Loads
from motorque.skeleton.skeleton import GROUND, Skeleton
from motorque.uncertainty.torque_gain import TorqueGain

Array = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

SUPPORTED = 0.05
"""Share of body weight under which nothing carries the body: then no load can follow."""


@dataclass(frozen=True, eq=False)
class FollowingLoads:
    """How changed forces on the root are passed on.

    Args:
        root: The root's coordinates.
        rows: By the root's forces: changes of all generalized forces, and below them six of each load, shape
            [T, nv + 6 L, 6]: its force and moment about the ground origin, or what is made of them.
        names: The loads.
    """

    root: tuple[int, ...]
    rows: Array
    names: tuple[str, ...]

    def __call__(self, forces: Floats) -> Floats:
        """Changes of generalized forces [..., T, nv, columns], passed on: [..., T, nv + 6 L, columns]."""
        below = np.zeros((*forces.shape[:-2], self.rows.shape[1] - forces.shape[-2], forces.shape[-1]), forces.dtype)
        changed = np.concatenate([forces, below], axis=-2)
        return np.asarray(changed + self.rows.astype(forces.dtype) @ forces[..., list(self.root), :])


def following_loads(skeleton: Skeleton, gain: TorqueGain, loads: Loads) -> FollowingLoads | None:
    """How estimated loads follow the motion; None if the root can't move freely or nothing carries it.

    Args:
        skeleton: The skeleton.
        gain: Derivatives of its torques, with all loaded bodies.
        loads: The estimated loads at the motion's times.
    """
    root = tuple(c for c, body in enumerate(coordinate_bodies(skeleton)) if skeleton.parents[body] == GROUND)
    if len(root) != 6 or not loads.loads:
        return None
    upward = np.stack([np.maximum(load.force[:, 1], 0.0) for load in loads.loads])
    total = upward.sum(0)
    weight = skeleton.total_mass() * float(skeleton.gravity.norm())
    carried = total > SUPPORTED * weight
    share = np.where(carried, upward / np.where(carried, total, 1.0), 0.0)[:, :, None, None]
    by_wrench = sum(s * gain.loads[load.body] for s, load in zip(share, loads.loads, strict=True))
    on_root = np.where(carried[:, None, None], np.asarray(by_wrench)[:, list(root)], np.eye(6))
    wrench = -np.linalg.inv(on_root) * carried[:, None, None]
    rows = np.concatenate([by_wrench @ wrench, *(s * wrench for s in share)], axis=1)
    return FollowingLoads(root, rows, tuple(load.name for load in loads.loads))


def of_load(load: Load) -> Array:
    """Changes of a load's force, point (x, z) and vertical free moment by its force and moment about the ground origin.

    Args:
        load: The load.

    Returns:
        Shape [T, 6, 6]: force, point x and z, moment; zero for the point where there is none, and the moment about the
        origin there.
    """
    frames = len(load.force)
    defined = np.isfinite(load.point).all(1) & (load.force[:, 1] > 0)
    vertical = np.where(defined, load.force[:, 1], np.inf)
    x, h, z = np.nan_to_num(load.point).T
    by = np.zeros((frames, 6, 6))
    by[:, :3, :3] = np.eye(3)
    # The point is x = (M_z + h F_x) / F_y, z = (h F_z - M_x) / F_y.
    by[:, 3, 0], by[:, 3, 1], by[:, 3, 5] = h / vertical, -x / vertical, 1 / vertical
    by[:, 4, 2], by[:, 4, 1], by[:, 4, 3] = h / vertical, -z / vertical, -1 / vertical
    # The free moment is M_y - (z F_x - x F_z).
    by[:, 5, 4], by[:, 5, 0], by[:, 5, 2] = 1.0, -z, x
    by[:, 5] += -load.force[:, 0, None] * by[:, 4] + load.force[:, 2, None] * by[:, 3]
    return by
