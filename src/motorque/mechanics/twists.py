"""How bodies move when coordinates do: joint axes in ground and the twist that each coordinate causes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motorque.mechanics.kinematics import BodyPoses, _arguments, joint_elements
from motorque.skeleton.constants import constant
from motorque.skeleton.functions import is_constant
from motorque.skeleton.skeleton import GROUND, Skeleton


@dataclass(frozen=True, eq=False)
class JointAxes:
    """Axes of every joint in ground at one pose.

    Args:
        frame: Rotation of the joint's parent frame F to ground, shape [..., B, 3, 3].
        rotation: Unit axes of the three rotations, as carried by the rotations before them, shape [..., B, 3, 3 (xyz)].
        translation: Unit axes of the three translations, shape [..., B, 3, 3 (xyz)].
        origin: Origin of the joint's child frame M, about which the rotations turn [m], shape [..., B, 3].
    """

    frame: Tensor
    rotation: Tensor
    translation: Tensor
    origin: Tensor


def joint_axes(skeleton: Skeleton, q: Tensor, poses: BodyPoses, elements: Tensor | None = None) -> JointAxes:
    """Axes of every joint in ground.

    Args:
        skeleton: The skeleton.
        q: Coordinates [rad or m], shape [..., nq].
        poses: Body poses at ``q``.
        elements: Joint displacements at ``q`` if they are known already, shape [..., B, 6].
    """
    elements = joint_elements(skeleton, q) if elements is None else elements
    carried = poses.carried_axes
    index = constant(_carriers(skeleton), q.device)
    grounded = (index == GROUND)[:, None]
    eye = torch.eye(3, dtype=q.dtype, device=q.device)
    carrier_rotation = torch.where(grounded[..., None], eye, poses.rotation[..., index.clamp(min=0), :, :])
    carrier_position = poses.position[..., index.clamp(min=0), :] * ~grounded
    frame = carrier_rotation @ skeleton.parent_rotation
    shift = (elements[..., 3:, None] * skeleton.translation_axes).sum(-2)
    origin = carrier_position + _apply(carrier_rotation, skeleton.parent_position) + _apply(frame, shift)
    return JointAxes(
        frame,
        carried @ frame.transpose(-1, -2),
        skeleton.translation_axes @ frame.transpose(-1, -2),
        origin,
    )


def _apply(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]


def _carriers(skeleton: Skeleton) -> list[int]:
    """Body that carries frame F of each joint: the tree parent, or the body itself where the joint is reversed."""
    return [body if joint.reversed else skeleton.parents[body] for body, joint in enumerate(skeleton.joints)]


@dataclass(frozen=True, eq=False)
class DrivenElements:
    """The elements that follow a coordinate: which, which coordinate, and their rate of change with it.

    Args:
        entry: Index into the flattened elements (6 per body), shape [K].
        coordinate: The coordinate that each follows, shape [K]; an element with two factors is listed twice.
        rate: d element / d coordinate, shape [..., K].
        change: Time derivative of ``rate``, shape [..., K], where the coordinates' rates were given.
    """

    entry: np.ndarray
    coordinate: np.ndarray
    rate: Tensor
    change: Tensor | None = None


def driven_elements(skeleton: Skeleton, q: Tensor, v: Tensor | None = None) -> DrivenElements:
    """Every pair of an element and a coordinate that moves it, with the derivative at a pose.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq].
        v: Rates of the coordinates [1/s], shape [..., nv], if the derivative's own change is wanted.
    """
    q, _ = skeleton.split_positions(q)
    tables = skeleton.kinematics_tables
    f0, f1, f2 = tables.functions(_arguments(q, tables.coordinate))
    first, bend = f1, None if v is None else f2 * _arguments(v, tables.coordinate)
    moving = [n for n, c in enumerate(tables.coordinate) if c >= 0 and not is_constant(tables.functions.functions[n])]
    entries, coordinates = list(moving), list(tables.coordinate[moving])
    rates, changes = [], []
    if len(tables.factor_entries):
        g0, g1, g2 = tables.factors(_arguments(q, tables.factor_coordinate))
        at = constant(tables.factor_entries, q.device)
        first = f1.index_copy(-1, at, f1[..., at] * g0)
        rates = [f0[..., at] * g1]
        if v is not None and bend is not None:
            own, other = _arguments(v, tables.coordinate)[..., at], _arguments(v, tables.factor_coordinate)
            bend = bend.index_copy(-1, at, bend[..., at] * g0 + f1[..., at] * g1 * other)
            changes = [f1[..., at] * own * g1 + f0[..., at] * g2 * other]
        entries += list(tables.factor_entries)
        coordinates += list(tables.factor_coordinate)
    entry = np.array(entries, dtype=np.int64)
    scale = torch.cat([torch.ones_like(skeleton.translation_scale), skeleton.translation_scale], dim=-1).reshape(-1)
    scale = scale.index_select(0, constant(entry, q.device))
    driven = constant(moving, q.device)
    change = None if bend is None else torch.cat([bend.index_select(-1, driven), *changes], dim=-1) * scale
    rate = torch.cat([first.index_select(-1, driven), *rates], dim=-1) * scale
    return DrivenElements(entry, np.array(coordinates, dtype=np.int64), rate, change)


def coordinate_twists(skeleton: Skeleton, q: Tensor, axes: JointAxes) -> Tensor:
    """Twist of the moved bodies per unit rate of each coordinate, in ground about the ground origin.

    Args:
        skeleton: The skeleton.
        q: Coordinates [rad or m], shape [..., nq].
        axes: Joint axes at ``q``.

    Returns:
        Angular velocity, then linear velocity of the body-fixed point at the ground origin, shape [..., nq, 6]. It
        holds for the body of the coordinate's joint and all bodies beyond it.
    """
    driven = driven_elements(skeleton, q)
    body = constant(driven.entry // 6, q.device)
    kind = driven.entry % 6
    rotates = constant(kind < 3, q.device)[:, None]
    which = constant(kind % 3, q.device)
    sign = torch.tensor(
        [-1.0 if skeleton.joints[b].reversed else 1.0 for b in driven.entry // 6], dtype=q.dtype, device=q.device
    )
    rotation, translation = axes.rotation[..., body, which, :], axes.translation[..., body, which, :]
    moment = torch.linalg.cross(axes.origin[..., body, :], rotation)
    twist = torch.cat([torch.where(rotates, rotation, 0.0), torch.where(rotates, moment, translation)], dim=-1)
    twist = twist * (driven.rate * sign)[..., None]
    out = torch.zeros(*q.shape[:-1], skeleton.nq, 6, dtype=q.dtype, device=q.device)
    return out.index_add(-2, constant(driven.coordinate, q.device), twist)


def coordinate_bodies(skeleton: Skeleton) -> np.ndarray:
    """The body whose joint each coordinate belongs to, shape [nv]."""
    owner = np.zeros(skeleton.nv, dtype=np.int64)
    for body, joint in enumerate(skeleton.joints):
        owner[list(joint.coordinates)] = body
    return owner


def descendant_matrix(skeleton: Skeleton) -> np.ndarray:
    """Entry [a, b] says whether body b is body a or hangs on it; shape [B, B], bool."""
    count = len(skeleton.body_names)
    below = np.zeros((count, count), dtype=bool)
    for body in range(count):
        below[list(skeleton.ancestors(body)), body] = True
    return below
