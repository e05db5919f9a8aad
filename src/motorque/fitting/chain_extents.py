"""How the place of a marker depends on the scale factors of the bodies between it and ground."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.kinematics import BodyPoses
from motorque.skeleton.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class ChainExtents:
    """How far the chain to each marker runs through each body, unscaled.

    A marker's position is a sum over the bodies between ground and it of R_body · (factors ⊙ extent): from where the
    chain enters the body (frame M of its joint) to where it leaves it (frame F of the next joint, or the marker).
    """

    through: Tensor  # [M, B]: body lies between ground and marker
    constant: Tensor  # [M, B, 3]: extent without the translations inside joints
    next_joint: Tensor  # [M, B]: joint by which the chain leaves the body towards the marker, -1 at the marker

    def by_factor(self, scaled: Skeleton, poses: BodyPoses, elements: Tensor, generic: Skeleton) -> Tensor:
        """Derivative of the markers by every body's and axis' factor [m], shape [K, M, 3, B, 3]."""
        extent = self.constant.expand(len(elements), -1, -1, -1)
        # Translations inside the next joint belong to the body that carries its parent frame.
        slide = (elements[..., 3:, None] * (generic.translation_axes @ generic.parent_rotation.transpose(-1, -2))).sum(
            -2
        )
        index = self.next_joint.clamp(min=0)
        extent = extent + slide[:, index] * (self.next_joint >= 0)[..., None]
        return torch.einsum("kbix,kmbx,mb->kmibx", poses.rotation, extent, self.through)


def chain_extents(skeleton: Skeleton) -> ChainExtents:
    """The chains of a skeleton's markers; raises :class:`DataError` for one with reversed joints."""
    if any(joint.reversed for joint in skeleton.joints):
        raise DataError(
            f"{skeleton.name}: scaling from motion is not supported for models with reversed joints; "
            "give a static trial"
        )
    bodies, markers = len(skeleton.body_names), len(skeleton.markers)
    through = torch.zeros(markers, bodies, dtype=torch.float64)
    constant = torch.zeros(markers, bodies, 3, dtype=torch.float64)
    next_joint = torch.full((markers, bodies), -1)
    for m, marker in enumerate(skeleton.markers):
        after = -1
        for body in skeleton.ancestors(marker.body):
            through[m, body] = 1.0
            leave = skeleton.marker_position[m] if after < 0 else skeleton.parent_position[after]
            constant[m, body] = leave - skeleton.child_position[body]
            next_joint[m, body] = after
            after = body
    return ChainExtents(through, constant, next_joint)
