"""Where every body is: forward kinematics of a whole recording at once, differentiable in poses and in lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.arguments import check
from motorque.mechanics.reduced import fill_positions
from motorque.skeleton.constants import constant
from motorque.skeleton.functions import FunctionTable
from motorque.skeleton.rotations import check_rotations
from motorque.skeleton.skeleton import GROUND, Skeleton


@dataclass(frozen=True, eq=False)
class BodyPoses:
    """Poses of all bodies in ground.

    Args:
        rotation: Maps body to ground, shape [..., B, 3, 3].
        position: Origins in ground [m], shape [..., B, 3].
        carried_axes: Rotation axes of each joint in its frame F, each turned by the rotations before it, shape
            [..., B, 3 (axis), 3].
    """

    rotation: Tensor
    position: Tensor
    carried_axes: Tensor

    def point(self, body: int, offset: Tensor) -> Tensor:
        """A body-fixed point in ground [m]; ``offset`` in the body [m], shape [3] → [..., 3]."""
        if body == GROUND:
            return offset.expand(*self.position.shape[:-2], 3)
        return self.position[..., body, :] + (self.rotation[..., body, :, :] @ offset[..., None])[..., 0]


def joint_elements(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Displacement along the six elements of every joint [rad or m], shape [..., B, 6] (rotations first).

    A ball joint that is not given as angles has zeros for its rotations.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m], shape [..., nq].
    """
    q, _ = skeleton.split_positions(q)
    tables = skeleton.kinematics_tables
    value, _, _ = tables.functions(_arguments(q, tables.coordinate))
    if len(tables.factor_entries):
        factor, _, _ = tables.factors(_arguments(q, tables.factor_coordinate))
        entries = constant(tables.factor_entries, q.device)
        value = value.index_copy(-1, entries, value[..., entries] * factor)
    value = value.reshape(*q.shape[:-1], len(skeleton.body_names), 6)
    scale = torch.cat([torch.ones_like(skeleton.translation_scale), skeleton.translation_scale], dim=-1)
    return value * scale


def joint_element_rates(skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Displacements, velocities and accelerations of the six elements of every joint.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m], shape [..., nq].
        v: Rates of the coordinates [1/s], shape [..., nv]; those of ball joints mean something only for angles.
        a: Their accelerations [1/s²], shape [..., nv], or None for the part that velocities alone give.

    Returns:
        Three tensors of shape [..., B, 6].
    """
    q, _ = skeleton.split_positions(q)
    tables = skeleton.kinematics_tables
    acceleration = torch.zeros_like(v) if a is None else a
    x0, x1, x2 = _chain(tables.functions, tables.coordinate, q, v, acceleration)
    if len(tables.factor_entries):
        f0, f1, f2 = _chain(tables.factors, tables.factor_coordinate, q, v, acceleration)
        entries = constant(tables.factor_entries, q.device)
        e0, e1, e2 = x0[..., entries], x1[..., entries], x2[..., entries]
        x0 = x0.index_copy(-1, entries, e0 * f0)
        x1 = x1.index_copy(-1, entries, e1 * f0 + e0 * f1)
        x2 = x2.index_copy(-1, entries, e2 * f0 + 2 * e1 * f1 + e0 * f2)
    scale = torch.cat([torch.ones_like(skeleton.translation_scale), skeleton.translation_scale], dim=-1)
    shape = (*q.shape[:-1], len(skeleton.body_names), 6)
    return x0.reshape(shape) * scale, x1.reshape(shape) * scale, x2.reshape(shape) * scale


def _arguments(q: Tensor, coordinate: NDArray[np.int64]) -> Tensor:
    index = constant(coordinate, q.device)
    return torch.where(index >= 0, q[..., index.clamp(min=0)], torch.zeros((), dtype=q.dtype, device=q.device))


def _chain(
    table: FunctionTable, coordinate: NDArray[np.int64], q: Tensor, v: Tensor, a: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    f0, f1, f2 = table(_arguments(q, coordinate))
    rate, acceleration = _arguments(v, coordinate), _arguments(a, coordinate)
    return f0, f1 * rate, f1 * acceleration + f2 * rate**2


def axis_rotation(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices about unit axes (Rodrigues' formula).

    Args:
        axis: Unit axes, shape [..., 3].
        angle: Angles [rad], shape [...].

    Returns:
        Shape [..., 3, 3].
    """
    along = axis[..., :, None] * axis[..., None, :]
    x, y, z = axis.unbind(-1)
    o = torch.zeros_like(x)
    cross = torch.stack((o, -z, y, z, o, -x, -y, x, o), dim=-1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=axis.dtype, device=axis.device)
    c, s = torch.cos(angle)[..., None, None], torch.sin(angle)[..., None, None]
    return torch.addcmul(torch.addcmul(along, c, eye - along), s, cross)


def joint_transforms(
    skeleton: Skeleton, elements: Tensor, rotations: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Pose of every joint's child frame M in its parent frame F.

    Args:
        skeleton: The skeleton.
        elements: Displacements, shape [..., B, 6].
        rotations: Rotations of ball joints that are not given as angles, as of ``Skeleton.split_positions``.

    Returns:
        Rotation, shape [..., B, 3, 3], position [m], shape [..., B, 3], and the three rotation axes in F, each turned
        by the rotations before it, shape [..., B, 3 (axis), 3]; the axes of F for joints in ``rotations``.
    """
    axes = skeleton.rotation_axes
    r = axis_rotation(axes, elements[..., :3])
    two = r[..., 0, :, :] @ r[..., 1, :, :]
    second = (r[..., 0, :, :] @ axes[:, 1, :, None])[..., 0]
    third = (two @ axes[:, 2, :, None])[..., 0]
    carried = torch.stack([axes[:, 0].expand_as(second), second, third], dim=-2)
    position = (elements[..., 3:, None] * skeleton.translation_axes).sum(-2)
    rotation = two @ r[..., 2, :, :]
    if rotations is not None:
        balls = constant(skeleton.balls, elements.device)
        rotation = rotation.index_copy(-3, balls, rotations)
        carried = carried.index_copy(
            -3, balls, torch.eye(3, dtype=carried.dtype, device=carried.device).expand_as(rotations)
        )
    return rotation, position, carried


def body_transforms(
    skeleton: Skeleton, elements: Tensor, rotations: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Pose of every body in its tree parent, rotation [..., B, 3, 3] and position [m], shape [..., B, 3], and the
    joints' carried rotation axes as of :func:`joint_transforms`.

    Args:
        skeleton: The skeleton.
        elements: Joint displacements (:func:`joint_elements`), shape [..., B, 6].
        rotations: Rotations of ball joints that are not given as angles, as of ``Skeleton.split_positions``.
    """
    rotation, position, carried = joint_transforms(skeleton, elements, rotations)
    rf, pf = skeleton.parent_rotation, skeleton.parent_position
    rm, pm = skeleton.child_rotation, skeleton.child_position
    # Pose of the file's child in the file's parent: X_F · X_FM · X_M^-1.
    across = rf @ rotation @ rm.transpose(-1, -2)
    shift = pf + (rf @ position[..., None])[..., 0] - (across @ pm[..., None])[..., 0]
    if any(j.reversed for j in skeleton.joints):
        flipped = constant([j.reversed for j in skeleton.joints], elements.device)
        inverse = across.transpose(-1, -2)
        back = -(inverse @ shift[..., None])[..., 0]
        across = torch.where(flipped[:, None, None], inverse, across)
        shift = torch.where(flipped[:, None], back, shift)
    return across, shift, carried


def forward_kinematics(skeleton: Skeleton, q: Tensor, elements: Tensor | None = None) -> BodyPoses:
    """Poses of all bodies in ground.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m], shape [..., nq]; coupled ones are taken as they are (see ``Skeleton.couple``). Without
            columns for coupled ones these follow.
        elements: Joint displacements at ``q`` if they are known already, shape [..., B, 6].

    Raises:
        DataError: The shape does not fit the skeleton, device or precision differ, or a rotation is none.
    """
    q = fill_positions(skeleton, q) if check(skeleton, q, {}).reduced else q
    if q.device.type == "cpu":
        check_rotations(skeleton, q)
    rotations = None if skeleton.rotations == "angles" else skeleton.split_positions(q)[1]
    elements = joint_elements(skeleton, q) if elements is None else elements
    local_rotation, local_position, carried = body_transforms(skeleton, elements, rotations)
    turned: list[Tensor] = []
    positions: list[Tensor] = []
    for body, parent in enumerate(skeleton.parents):
        r, p = local_rotation[..., body, :, :], local_position[..., body, :]
        if parent != GROUND:
            p = positions[parent] + (turned[parent] @ p[..., None])[..., 0]
            r = turned[parent] @ r
        turned.append(r)
        positions.append(p)
    return BodyPoses(torch.stack(turned, dim=-3), torch.stack(positions, dim=-2), carried)


def marker_positions(skeleton: Skeleton, q: Tensor, poses: BodyPoses | None = None) -> Tensor:
    """Positions of the skeleton's markers in ground [m], shape [..., M, 3].

    Args:
        skeleton: The skeleton.
        q: Positions, as for :func:`forward_kinematics`; not read where poses are given.
        poses: Poses of all bodies, if they are known already.

    Raises:
        DataError: As of :func:`forward_kinematics`.
    """
    poses = forward_kinematics(skeleton, q) if poses is None else _of_skeleton(skeleton, poses)
    body = skeleton.marker_body
    rotation, position = poses.rotation[..., body.clamp(min=0), :, :], poses.position[..., body.clamp(min=0), :]
    carried = position + (rotation @ skeleton.marker_position[..., None])[..., 0]
    return torch.where((body >= 0)[:, None], carried, skeleton.marker_position)


def center_of_mass(skeleton: Skeleton, q: Tensor | BodyPoses) -> Tensor:
    """Centre of mass of the whole body in ground [m], shape [..., 3].

    Args:
        skeleton: The skeleton.
        q: Positions, as for :func:`forward_kinematics`; or poses of all bodies, if they are known already.

    Raises:
        DataError: As of :func:`forward_kinematics`.
    """
    poses = _of_skeleton(skeleton, q) if isinstance(q, BodyPoses) else forward_kinematics(skeleton, q)
    centers = poses.position + (poses.rotation @ skeleton.mass_center[..., None])[..., 0]
    return (skeleton.mass[:, None] * centers).sum(-2) / skeleton.mass.sum()


def _of_skeleton(skeleton: Skeleton, poses: BodyPoses) -> BodyPoses:
    """Poses, held to being some of this skeleton."""
    x, like = poses.position, skeleton.mass
    if x.dtype != like.dtype or x.device != like.device or x.shape[-2] != len(skeleton.body_names):
        raise DataError(
            f"{skeleton.name}: {x.shape[-2]} poses in {x.dtype} on {x.device} are not those of its "
            f"{len(skeleton.body_names)} bodies in {like.dtype} on {like.device}; compute them with this skeleton"
        )
    return poses
