"""The tree at one pose, as the dynamics want it: places relative to the body, and no walk where a product will do.

Everything is expressed in the axes of ground, so that what adds up along the tree (velocities outward, forces inward)
is one product with the matrix of who hangs on whom. Places are relative to the first body's origin, so that single
precision is not spent on how far from the origin of ground somebody walks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.mechanics.kinematics import BodyPoses, body_transforms, joint_elements
from motorque.mechanics.twists import JointAxes, descendant_matrix
from motorque.skeleton.skeleton import GROUND, Joint, Skeleton


@dataclass(frozen=True, eq=False)
class Layout:
    """Who hangs on whom, as tensors.

    Args:
        levels: Bodies by their distance from ground: the bodies of a level, and where in the level before their parents
            are (nothing for the first level).
        order: Where in the levels, one after the other, each body is, shape [B].
        parents: Each body's parent, 0 for ground, shape [B].
        has_parent: 1 where a body's parent is not ground, else 0, shape [B, 1].
        carriers: Body that carries each joint's frame F, and the one that carries M, 0 for ground, each [B].
        carried: 1 where these are not ground, else 0, each [B, 1].
        below: Entry [a, b] is 1 where body b is body a or hangs on it, else 0, shape [B, B].
        sign: -1 for reversed joints, else 1, shape [B, 1].
        balls: Bodies on ball joints, shape [number of balls].
    """

    levels: tuple[tuple[Tensor, Tensor], ...]
    order: Tensor
    parents: Tensor
    has_parent: Tensor
    carriers: tuple[Tensor, Tensor]
    carried: tuple[Tensor, Tensor]
    below: Tensor
    sign: Tensor
    balls: Tensor

    @staticmethod
    def of(skeleton: Skeleton) -> Layout:
        """The layout of a skeleton, on its device and in its precision."""
        joints, like = skeleton.joints, skeleton.mass
        key = (id(joints), skeleton.parents, like.device, like.dtype)
        kept = _KEPT.get(key)
        if kept is not None and kept[0] is joints:
            return kept[1]
        layout = _layout(skeleton)
        # What is made within one of torch.func's transforms may belong to it, and is of no use afterwards.
        if torch._C._functorch.maybe_current_level() is None:
            if len(_KEPT) > 64:
                _KEPT.clear()
            _KEPT[key] = (joints, layout)
        return layout


_KEPT: dict[tuple[object, ...], tuple[tuple[Joint, ...], Layout]] = {}


def _layout(skeleton: Skeleton) -> Layout:
    parents, joints, like = skeleton.parents, skeleton.joints, skeleton.mass

    def index(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=like.device)

    def numbers(values: list[bool]) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]

    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent == GROUND else depth[parent] + 1)
    levels = [[body for body, d in enumerate(depth) if d == level] for level in range(max(depth, default=-1) + 1)]
    before: list[int] = []
    pairs = []
    for level in levels:
        pairs.append((index(level), index([before.index(parents[body]) for body in level] if before else [])))
        before = level
    listed = [body for level in levels for body in level]
    frames = [body if joint.reversed else parents[body] for body, joint in enumerate(joints)]
    children = [parents[body] if joint.reversed else body for body, joint in enumerate(joints)]
    return Layout(
        tuple(pairs),
        index([listed.index(body) for body in range(len(parents))]),
        index([max(parent, 0) for parent in parents]),
        numbers([parent != GROUND for parent in parents]),
        (index([max(b, 0) for b in frames]), index([max(b, 0) for b in children])),
        (numbers([b != GROUND for b in frames]), numbers([b != GROUND for b in children])),
        torch.as_tensor(descendant_matrix(skeleton), device=like.device).to(like.dtype),
        1 - 2 * numbers([joint.reversed for joint in joints]),
        index(list(skeleton.balls)),
    )


@dataclass(frozen=True, eq=False)
class TreePose:
    """All bodies and joints at one pose.

    Args:
        anchor: Origin of the first body in ground [m], shape [..., 3]; all other places are relative to it.
        poses: Poses of the bodies.
        axes: Axes of the joints; those of ball joints, about which their speeds turn, are the axes of their frames F.
    """

    anchor: Tensor
    poses: BodyPoses
    axes: JointAxes


def tree_pose(skeleton: Skeleton, q: Tensor, *, by_angles: bool = False) -> TreePose:
    """Bodies and joints at a pose.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq].
        by_angles: Whether ball joints turn about the axes of their angles instead of those of F.
    """
    layout = Layout.of(skeleton)
    rotations = skeleton.split_positions(q)[1]
    elements = joint_elements(skeleton, q)
    local_rotation, local_position, carried = body_transforms(skeleton, elements, rotations)
    if skeleton.balls and rotations is None and not by_angles:
        eye = torch.eye(3, dtype=q.dtype, device=q.device)
        carried = carried.index_copy(-3, layout.balls, eye.expand(*carried.shape[:-3], len(layout.balls), 3, 3))
    rotation = _products(layout, local_rotation)
    eye = torch.eye(3, dtype=q.dtype, device=q.device)
    grounded = layout.has_parent[..., None] == 0
    outer = torch.where(grounded, eye, rotation.index_select(-3, layout.parents))
    steps = turn(outer, local_position)
    anchor = steps[..., 0, :]
    position = summed_outward(layout, steps - (1 - layout.has_parent) * anchor[..., None, :])
    (frames, children), (frames_move, children_move) = layout.carriers, layout.carried
    carrier = torch.where(frames_move[..., None] == 0, eye, rotation.index_select(-3, frames))
    frame = carrier @ skeleton.parent_rotation
    # M's origin by way of the body that carries M: that is where it is next to.
    holder = torch.where(children_move[..., None] == 0, eye, rotation.index_select(-3, children))
    at = torch.where(children_move == 0, -anchor[..., None, :], position.index_select(-2, children))
    axes = JointAxes(
        frame, carried @ frame.mT, skeleton.translation_axes @ frame.mT, at + turn(holder, skeleton.child_position)
    )
    return TreePose(anchor, BodyPoses(rotation, position, carried), axes)


def symmetric_inertias(skeleton: Skeleton) -> Tensor:
    """Inertias of all bodies about their centres [kg·m²], shape [B, 3, 3]; of one that is not symmetric, its symmetric
    part, which alone means something. So a gradient of an inertia is symmetric too, whichever way it is computed.
    """
    return 0.5 * (skeleton.inertia + skeleton.inertia.mT)


def turn(rotation: Tensor, vector: Tensor) -> Tensor:
    """Vectors [..., 3] turned by matrices [..., 3, 3]."""
    return (rotation @ vector[..., None])[..., 0]


def summed_outward(layout: Layout, x: Tensor) -> Tensor:
    """For every body the sum over it and all bodies between it and ground; [..., B, columns]."""
    return (x.mT @ layout.below).mT


def summed_inward(layout: Layout, x: Tensor) -> Tensor:
    """For every body the sum over it and all that hang on it; [..., B, columns]."""
    return (x.mT @ layout.below.T).mT


def _products(layout: Layout, local: Tensor) -> Tensor:
    """Rotations of bodies to ground from those to their parents; [..., B, 3, 3]."""
    found: list[Tensor] = []
    for bodies, parents in layout.levels:
        here = local.index_select(-3, bodies)
        found.append(found[-1].index_select(-3, parents) @ here if found else here)
    return torch.cat(found, dim=-3).index_select(-3, layout.order)
