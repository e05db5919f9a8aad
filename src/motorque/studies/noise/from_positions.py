"""The paper's equations 1 and 2 word for word: accelerations of joints from differences of their positions in space.

`mechanics.SMPLDynamics` differences the joints' rotations against their parents and lets the tree carry the rest, which
holds the bones' lengths exactly. Here positions and rotations in space of all 24 segments are differenced each by
itself. For small steps both agree; the study shows by how much they don't.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.mechanics.inverse_dynamics import BodyMotion, inertial_wrenches
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.tree import Layout, summed_inward
from motorque.signals.pose_rates import rate_method
from motorque.skeleton.smpl import smpl_positions
from motorque.studies.noise.protocol import Chain

Array = NDArray[np.float64]


class PositionChain(Chain):
    """As :class:`Chain`, with positions and rotations in space differenced instead of the joints' own rotations."""

    def _torques(self, rotations: Tensor, translation: Tensor) -> Tensor:
        skeleton, method, fps = self.layer.skeleton(), rate_method(self.rates), self.layer.fps
        poses = forward_kinematics(skeleton, smpl_positions(rotations, translation))
        turning = method(poses.rotation, poses.position[..., 0, :], fps)
        one = torch.eye(3, dtype=rotations.dtype).expand(*poses.position.shape[:-2], 1, 3, 3)
        places = [method(one, place, fps) for place in poses.position.unbind(-2)]
        motion = BodyMotion(
            turning.angular_velocity,
            turning.angular_acceleration,
            torch.stack([place.velocity for place in places], -2),
            torch.stack([place.acceleration for place in places], -2),
        )
        force, moment = inertial_wrenches(skeleton, poses, motion)
        wrench = summed_inward(Layout.of(skeleton), torch.cat([force, moment], -1))
        force, moment = wrench.split(3, dim=-1)
        return moment - torch.linalg.cross(poses.position, force)
