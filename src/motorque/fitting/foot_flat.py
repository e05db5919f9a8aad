"""Feet that stand flat on the floor: they tell how a foot is turned, where markers on shoe or skin tell it badly.

A centimetre of error in the height of a heel or toe marker tilts the foot by 3°. A foot at rest with all its markers at
their lowest stands on its sole, and the sole of the skeleton's foot is level in the neutral pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.mechanics.kinematics import BodyPoses
from motorque.series import Markers
from motorque.skeleton.skeleton import Skeleton

LEVEL_STD = np.radians(5.0)
"""How level a flat foot is [rad]: a shoe drops by about a centimetre from heel to ball, soles give, arches
differ."""

LOW = 0.010
"""A marker counts as down within this of its lowest height [m]."""

SLOW = 0.10
"""A foot at rest moves slower than this [m/s]."""


def flat_frames(markers: Markers, names: Sequence[str]) -> NDArray[np.bool_]:
    """Frames in which a foot stands flat and still.

    Args:
        markers: The recording, Y up [m].
        names: The foot's markers, at least two of them.

    Returns:
        Mask, shape [T]; all False with fewer than two markers or hardly any samples.
    """
    flat = np.ones(len(markers.times), dtype=bool)
    known = [n for n in names if n in markers.names]
    if len(known) < 2 or len(markers.times) < 3:
        return np.zeros(len(markers.times), dtype=bool)
    positions = markers.select(known).positions
    for path in positions.transpose(1, 0, 2):
        seen = np.isfinite(path[:, 0])
        if seen.sum() < 3:
            return np.zeros(len(markers.times), dtype=bool)
        lowest = np.nanpercentile(path[:, 1], 5)
        speed = np.linalg.norm(np.gradient(path, markers.times, axis=0), axis=1)
        with np.errstate(invalid="ignore"):
            flat &= (path[:, 1] < lowest + LOW) & (speed < SLOW)
    return flat


@dataclass(frozen=True, eq=False)
class LevelFeet:
    """Residuals of flat feet: the horizontal components of the foot's upright axis, in units of :data:`LEVEL_STD`.

    Args:
        feet: Body of each foot, F of them.
        flat: Which foot is flat in which frame, shape [K, F].
    """

    feet: tuple[int, ...]
    flat: Tensor

    def residuals(self, poses: BodyPoses) -> Tensor:
        """Shape [K, 2 F]."""
        upright = poses.rotation[:, list(self.feet), :, 1]
        return (upright[..., [0, 2]] * self.flat[..., None] / LEVEL_STD).flatten(1)

    def jacobian(self, poses: BodyPoses, twists: Tensor, moved: Tensor) -> Tensor:
        """Derivative of the residuals by the coordinates.

        Args:
            poses: Body poses.
            twists: Twist of each coordinate, shape [K, nq, 6].
            moved: Which coordinate moves which body, shape [nq, B].

        Returns:
            Shape [K, 2 F, nq].
        """
        upright = poses.rotation[:, list(self.feet), :, 1]
        turn = torch.linalg.cross(twists[:, None, :, :3], upright[:, :, None, :].expand(-1, -1, twists.shape[1], -1))
        turn = turn * moved.T[list(self.feet)][None, :, :, None]
        return (turn[..., [0, 2]].transpose(-1, -2) * self.flat[..., None, None] / LEVEL_STD).flatten(1, 2)


def feet_of(skeleton: Skeleton) -> list[tuple[int, list[str]]]:
    """The skeleton's feet: body, and the names of the markers on it and on its toes."""
    found = []
    for side in ("r", "l"):
        if f"calcn_{side}" not in skeleton.body_names:
            continue
        foot = skeleton.body(f"calcn_{side}")
        bodies = {foot, *(b for b, name in enumerate(skeleton.body_names) if name == f"toes_{side}")}
        found.append((foot, [m.name for m in skeleton.markers if m.body in bodies]))
    return found
