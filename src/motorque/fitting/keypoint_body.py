"""The body as the fit to keypoints sees it: points, and how they move with pose, lengths and attachments.

Everything is computed in the pelvis' own frame first, where it depends on the joint angles alone, and then carried by
the pelvis' pose. In that frame a point is linear in the scale factors,

    x = Σ_g f_g C_g(q) + R_b(q) o,

since every length belongs to one group g; the C_g are found once per pose and are the derivatives by the factors. The
derivatives by the angles are the twists that the joints cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import ModelError
from motorque.fitting.keypoint_attachments import GROUPS, SOLE_POINTS, Attachment, group_masks
from motorque.mechanics.kinematics import forward_kinematics, joint_elements, joint_transforms
from motorque.mechanics.twists import coordinate_twists, descendant_matrix, joint_axes
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PelvisFramePoints:
    """Points in the pelvis' frame and their derivatives.

    Args:
        position: [m], shape [T, K, 3].
        by_angle: Per radian of each fitted coordinate, shape [T, K, 3, N].
        by_factor: Per unit of each scale factor, shape [T, K, 3, G].
        by_offset: Per metre of the point's offset in its body, shape [T, K, 3, 3].
    """

    position: Array
    by_angle: Array
    by_factor: Array
    by_offset: Array


@dataclass(frozen=True, eq=False)
class Parts:
    """Lengths of the generic skeleton by the scale group that they belong to, the group last.

    Args:
        parent: Joint frames in their carriers [m], shape [B, 3, G].
        child: Joint frames in the bodies that hang on them [m], shape [B, 3, G].
        translation: Shift per unit of each of a joint's three translations, in the carrier, shape [B, 3, 3, G].
        points: Keypoints and sole points in their bodies [m], shape [K + S, 3, G].
    """

    parent: Array
    child: Array
    translation: Array
    points: Array


@dataclass(frozen=True, eq=False)
class KeypointBody:
    """A skeleton with keypoints and sole points on it, lengths still open.

    Args:
        skeleton: The generic skeleton; its first body hangs on ground by a joint of six coordinates.
        attachments: The keypoints, K of them.
        held: Coordinates that keep their default: no keypoint tells them.

    Raises:
        ModelError: A body is missing, or the first joint is not free.
    """

    skeleton: Skeleton
    attachments: Sequence[Attachment]
    held: Sequence[str] = ("pro_sup_r", "pro_sup_l")
    names: tuple[str, ...] = field(init=False)  # fitted coordinates, N of them
    columns: NDArray[np.int64] = field(init=False)
    root: NDArray[np.int64] = field(init=False)  # the pelvis' six coordinates: three rotations, three translations
    point_body: NDArray[np.int64] = field(init=False)  # [K + S], sole points last
    point_offset: Array = field(init=False)  # [K + S, 3], generic
    masks: Array = field(init=False)  # [G, B, 3]
    parts: Parts = field(init=False)
    moves: Array = field(init=False)  # [K + S, N] whether a coordinate moves a point

    def __post_init__(self) -> None:
        skeleton = self.skeleton
        joint = skeleton.joints[0]
        if len(joint.coordinates) != 6 or skeleton.parents[0] != GROUND:
            raise ModelError(f"{skeleton.name}: its first body must hang on ground by six coordinates, for video")
        order = [e.coordinate for e in joint.elements]
        if sorted(order) != sorted(joint.coordinates):
            raise ModelError(f"{skeleton.name}: the six coordinates of {joint.name} must be its angles and shifts")
        places = [(a.body, a.position) for a in self.attachments] + [(b, p) for _, b, p in SOLE_POINTS]
        missing = sorted({body for body, _ in places if body not in skeleton.body_names})
        if missing:
            raise ModelError(f"{skeleton.name}: it has no body {missing[0]}, which keypoints are attached to")
        dependent = {c.dependent for c in skeleton.couplers}
        columns = [
            n
            for n, c in enumerate(skeleton.coordinates)
            if n not in dependent and n not in order and not c.locked and c.name not in self.held
        ]
        body = np.array([skeleton.body_names.index(name) for name, _ in places])
        descend = descendant_matrix(skeleton)
        owner = np.full(skeleton.nq, -1)
        for b, j in enumerate(skeleton.joints):
            owner[list(j.coordinates)] = b
        hidden = [n for n in columns if not descend[owner[n]][body].any()]
        columns = [n for n in columns if n not in hidden]
        object.__setattr__(self, "columns", np.array(columns))
        object.__setattr__(self, "names", tuple(skeleton.coordinates[n].name for n in columns))
        object.__setattr__(self, "root", np.array(order))
        object.__setattr__(self, "point_body", body)
        object.__setattr__(self, "point_offset", np.array([p for _, p in places]))
        object.__setattr__(self, "masks", group_masks(skeleton))
        object.__setattr__(self, "parts", self._parts())
        object.__setattr__(self, "moves", descend[owner[columns]][:, body].T.astype(float))

    def _parts(self) -> Parts:
        skeleton = self.skeleton
        only = [scale_lengths(skeleton, torch.as_tensor(mask)) for mask in self.masks]
        ratio = np.stack([(s.translation_scale / skeleton.translation_scale).nan_to_num(0.0).numpy() for s in only], -1)
        axes = skeleton.translation_axes.numpy() @ skeleton.parent_rotation.numpy().swapaxes(-1, -2)
        return Parts(
            np.stack([s.parent_position.numpy() for s in only], -1),
            np.stack([s.child_position.numpy() for s in only], -1),
            axes[..., None] * ratio[:, :, None],
            (self.masks[:, self.point_body] * self.point_offset).transpose(1, 2, 0),
        )

    def full(self, angles: Array) -> torch.Tensor:
        """All coordinates [rad or m], shape [T, nq], from the fitted ones, shape [T, N]; the pelvis at the origin."""
        q = self.skeleton.default_pose.expand(len(angles), -1).clone()
        q[:, self.columns] = torch.as_tensor(angles)
        q[:, self.root] = 0.0
        return self.skeleton.couple(q)

    def points(self, angles: Array, factors: Array, offsets: Array) -> PelvisFramePoints:
        """Keypoints, then sole points, in the pelvis' frame.

        Args:
            angles: Fitted coordinates [rad], shape [T, N].
            factors: Scale factor of each group, shape [G].
            offsets: Offset of each point in its body [m], shape [K + S, 3].
        """
        q = self.full(angles)
        factor = torch.as_tensor(np.einsum("g,gbx->bx", factors, self.masks))
        skeleton = scale_lengths(self.skeleton, factor)
        elements = joint_elements(skeleton, q)
        poses = forward_kinematics(skeleton, q, elements)
        twists = coordinate_twists(skeleton, q, joint_axes(skeleton, q, poses, elements))[:, self.columns].numpy()
        rotation = poses.rotation.numpy()
        by_factor = self._by_factor(joint_elements(self.skeleton, q), rotation)
        at = rotation[:, self.point_body]
        position = by_factor @ factors + (at @ offsets[..., None])[..., 0]
        by_angle = (np.cross(twists[:, None, :, :3], position[:, :, None]) + twists[:, None, :, 3:]) * self.moves[
            None, :, :, None
        ]
        return PelvisFramePoints(position, by_angle.swapaxes(-1, -2), by_factor, at)

    def _by_factor(self, elements: torch.Tensor, rotation: Array) -> Array:
        """The points' coefficients C_g, shape [T, K + S, 3, G], by a walk along the tree."""
        skeleton, parts = self.skeleton, self.parts
        across = joint_transforms(skeleton, elements)[0].numpy()
        frame, child = skeleton.parent_rotation.numpy(), skeleton.child_rotation.numpy()
        across = frame @ across @ child.swapaxes(-1, -2)
        shift = parts.parent + np.einsum("tbk,bkxg->tbxg", elements[..., 3:].numpy(), parts.translation)
        shift = shift - across @ parts.child
        origin = np.zeros((len(rotation), len(skeleton.parents), 3, len(GROUPS)))
        for body, (joint, parent) in enumerate(zip(skeleton.joints, skeleton.parents, strict=True)):
            if parent != GROUND:
                own = shift[:, body]
                if joint.reversed:
                    own = -across[:, body].swapaxes(-1, -2) @ own
                origin[:, body] = origin[:, parent] + rotation[:, parent] @ own
        return origin[:, self.point_body] + rotation[:, self.point_body] @ parts.points

    def coordinates(self, position: Array, rotation: Array, angles: Array) -> Array:
        """The skeleton's coordinates [rad or m], shape [T, nq], of a pelvis pose and the fitted coordinates.

        Args:
            position: Of the pelvis' frame in ground [m], shape [T, 3].
            rotation: Pelvis to ground, shape [T, 3, 3].
            angles: Fitted coordinates [rad], shape [T, N].
        """
        skeleton = self.skeleton
        frame = skeleton.parent_rotation[0].numpy()
        child = skeleton.child_rotation[0].numpy()
        inner = frame.T @ rotation @ child
        axes = skeleton.rotation_axes[0].numpy()
        turned = Rotation.from_matrix(inner).as_davenport(axes, "intrinsic")
        q = self.full(angles)
        q[:, self.root[:3]] = torch.as_tensor(np.unwrap(turned, axis=0))
        place = position + np.einsum("tij,j->ti", rotation, skeleton.child_position[0].numpy())
        along = skeleton.translation_axes[0].numpy() @ frame.T
        q[:, self.root[3:]] = torch.as_tensor((place - skeleton.parent_position[0].numpy()) @ np.linalg.inv(along))
        return self.skeleton.couple(q).numpy()

    def pelvis_pose(self, q: Array) -> tuple[Array, Array]:
        """Pelvis position [m], shape [T, 3], and rotation to ground, shape [T, 3, 3], of coordinates, shape [T, nq]."""
        poses = forward_kinematics(self.skeleton, torch.as_tensor(q))
        return poses.position[:, 0].numpy(), poses.rotation[:, 0].numpy()
