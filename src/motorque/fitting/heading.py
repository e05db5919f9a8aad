"""Which way a person faces, and turning a recording so that it is +X.

Pelvis tilt and list are angles about ground's Z and X, so they mean forward and sideways lean only for someone who
faces +X: facing the other way flips their signs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.fitting.frame_choice import well_seen_frames
from motorque.fitting.ik import inverse_kinematics
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Load, Loads, Markers
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]
FRAMES = 8


def heading(skeleton: Skeleton, markers: Markers, *, weights: Mapping[str, float] | None = None) -> float:
    """Mean angle of the pelvis' forward axis from +X about +Y [rad], from a few frames fitted on their own.

    Args:
        skeleton: The skeleton with its markers; without a body named pelvis its first body counts.
        markers: The recording in ground [m].
        weights: Marker weights as for inverse kinematics.
    """
    known = [name for name in markers.names if name in skeleton.marker_names]
    frames = well_seen_frames(markers.select(known), FRAMES)
    if len(frames) == 0:
        return 0.0
    few = Markers(np.arange(len(frames), dtype=float), markers.positions[frames], markers.names)
    q = torch.as_tensor(inverse_kinematics(skeleton, few, weights=weights, in_sequence=False).motion.values)
    root = skeleton.body("pelvis") if "pelvis" in skeleton.body_names else skeleton.parents.index(GROUND)
    forward = forward_kinematics(skeleton, q).rotation[:, root, :, 0].numpy()
    level = forward.mean(axis=0)
    return float(np.arctan2(-level[2], level[0]))


def quarter_turn(angle: float) -> Array:
    """Rotation matrix about +Y, a multiple of 90°, that brings a heading nearest to +X; shape [3, 3]."""
    turns = -int(np.round(angle / (np.pi / 2))) % 4
    c, s = [(1, 0), (0, 1), (-1, 0), (0, -1)][turns]
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=float)


def turn_markers(markers: Markers, rotation: Array) -> Markers:
    """Markers in a turned ground frame; ``rotation`` maps old to new, shape [3, 3]."""
    return Markers(markers.times, markers.positions @ rotation.T, markers.names)


def turn_loads(loads: Loads, rotation: Array) -> Loads:
    """Loads in a turned ground frame; ``rotation`` maps old to new, shape [3, 3]."""
    return Loads(
        loads.times,
        tuple(
            Load(x.name, x.body, x.force @ rotation.T, x.point @ rotation.T, x.moment @ rotation.T) for x in loads.loads
        ),
    )
