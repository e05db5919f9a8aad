"""A skeleton taken apart into what other dynamics engines know, and the change of coordinates between them.

Every joint becomes a chain of constant placements, revolute and prismatic joints (one for each element that moves) and
spherical or free joints. An engine's coordinate is then a motorque element's value, so a motorque coordinate that
drives several elements, in proportion or not, moves several of the engine's: with engine speeds w = V(q) v the forces
are V' times the engine's. The chain of a reversed joint is that of a forward one inside out, every axis negated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import roma
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.mechanics.kinematics import joint_element_rates, joint_elements, joint_transforms
from motorque.skeleton.functions import is_constant
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """A pose of one frame in another."""

    rotation: Array = field(default_factory=lambda: np.eye(3))
    position: Array = field(default_factory=lambda: np.zeros(3))

    def __matmul__(self, other: Placement) -> Placement:
        return Placement(self.rotation @ other.rotation, self.position + self.rotation @ other.position)

    def inverse(self) -> Placement:
        return Placement(self.rotation.T, -self.rotation.T @ self.position)


@dataclass(frozen=True)
class Move:
    """A joint of the engine: about or along an axis, or all three rotations (``ball``), or all six motions (``free``).

    ``axis`` is for the first two; for ``free`` its rows are the three translation axes in F.
    """

    kind: Literal["turn", "slide", "ball", "free"]
    element: int = -1
    axis: Array = field(default_factory=lambda: np.eye(3))


@dataclass(frozen=True)
class Link:
    """How a body hangs on its parent: from the inner frame in the parent by steps to the outer frame in the body."""

    body: int
    parent: int
    inner: Placement
    steps: tuple[Placement | Move, ...]
    outer: Placement
    flipped: bool


def links(skeleton: Skeleton, *, free_joints: bool = True) -> list[Link]:
    """The links of a skeleton in its own order of bodies; ``free_joints=False`` splits free joints into 3 and 1."""
    zero = torch.zeros(skeleton.nq, dtype=skeleton.mass.dtype)
    if skeleton.rotations in ("quaternion", "matrix", "6d"):  # zeros are no rotations there, and not needed
        zero = torch.zeros(skeleton.nv, dtype=skeleton.mass.dtype)
        constants = joint_elements(skeleton.with_rotations("angles"), zero).numpy()
    else:
        constants = joint_elements(skeleton, zero).numpy()
    found = []
    for body, joint in enumerate(skeleton.joints):
        turns, slides = skeleton.rotation_axes[body].numpy(), skeleton.translation_axes[body].numpy()

        def step(k: int, sign: float, *, value: float, turns: Array = turns, slides: Array = slides, joint=joint):
            element = joint.elements[k]
            axis = sign * (turns[k] if k < 3 else slides[k - 3])
            if element.factor is None and (element.coordinate < 0 or is_constant(element.function)):
                if k < 3:
                    return Placement(roma.rotvec_to_rotmat(torch.as_tensor(value * axis)).numpy())
                return Placement(position=value * axis)
            return Move("turn" if k < 3 else "slide", k, axis)

        sign = -1.0 if joint.reversed else 1.0
        steps = [step(k, sign, value=float(constants[body, k])) for k in (3, 4, 5, 0, 1, 2)]
        if joint.ball:
            if any(c in joint.ball for e in joint.elements[3:] for c in (e.coordinate, e.factor_coordinate)):
                raise ValueError(f"{joint.name}: an ellipsoid joint is no chain of joints")
            # A sliding axis would not commute with the free joint's one position unless all three slide.
            sliding = [s for s in steps[:3] if isinstance(s, Move)]
            own = len({joint.elements[s.element].coordinate for s in sliding}) == 3
            if free_joints and own and not joint.reversed and np.allclose(slides @ slides.T, np.eye(3)):
                steps = [Move("free", axis=slides)]
            else:
                steps = [*steps[:3], Move("ball")]
        f, m = (
            Placement(rotation[body].numpy(), position[body].numpy())
            for rotation, position in (
                (skeleton.parent_rotation, skeleton.parent_position),
                (skeleton.child_rotation, skeleton.child_position),
            )
        )
        if joint.reversed:
            f, m, steps = m, f, steps[::-1]
        steps = [s for s in steps if isinstance(s, Move) or not np.array_equal(_flat(s), _flat(Placement()))]
        found.append(Link(body, skeleton.parents[body], f, tuple(steps), m, joint.reversed))
    return found


def _flat(placement: Placement) -> Array:
    return np.append(placement.rotation, placement.position)


@dataclass(frozen=True)
class Column:
    """Where a joint of the engine has its positions and speeds."""

    body: int
    move: Move
    q: int
    v: int
    flipped: bool
    base: Placement = field(default_factory=Placement)
    """Pose in ground of the frame in which a free joint's position counts, for engines that count it in ground."""


class Maps:
    """Positions, speeds, accelerations and forces between motorque and an engine; all on torch, differentiable.

    Args:
        skeleton: The skeleton, float64 on the CPU.
        columns: The engine's joints.
        scalar_first: Whether the engine's quaternions are w, x, y, z.
        free_in_child: Whether the linear speeds of a free joint are in the child's axes instead of ground's.
    """

    def __init__(self, skeleton: Skeleton, columns: list[Column], *, scalar_first: bool, free_in_child: bool) -> None:
        self.skeleton, self.columns = skeleton, columns
        self.scalar_first, self.free_in_child = scalar_first, free_in_child

    def positions(self, q: Tensor) -> Tensor:
        """The engine's positions, shape [..., its nq]."""
        elements = joint_elements(self.skeleton, q)
        rotation = self._rotations(q, elements)
        parts = []
        for c in self.columns:
            if c.move.kind in ("turn", "slide"):
                parts.append((c.q, elements[..., c.body, c.move.element, None]))
                continue
            turn = rotation[..., c.body, :, :]
            if c.move.kind == "free":
                base, axes = torch.as_tensor(c.base.rotation), torch.as_tensor(c.move.axis)
                place = elements[..., c.body, 3:] @ axes
                if not self.free_in_child:
                    place, turn = place @ base.T + torch.as_tensor(c.base.position), base @ turn
                parts.append((c.q, place))
            quaternion = roma.rotmat_to_unitquat(turn.mT if c.flipped else turn)
            if self.scalar_first:
                quaternion = quaternion.roll(1, -1)
            parts.append((c.q + 3 * (c.move.kind == "free"), quaternion))
        return _in_order(parts)

    def speeds(self, q: Tensor, v: Tensor) -> Tensor:
        """The engine's speeds, shape [..., its nv]; linear in ``v``."""
        return self._rates(q, v, None)

    def accelerations(self, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        """The engine's accelerations, shape [..., its nv]."""
        return self._rates(q, v, a)

    def _rates(self, q: Tensor, v: Tensor, a: Tensor | None) -> Tensor:
        e0, e1, e2 = joint_element_rates(self.skeleton, q, v, a)
        rate, x = (e1, v) if a is None else (e2, a)
        rotation = self._rotations(q, e0)
        parts = []
        for c in self.columns:
            if c.move.kind in ("turn", "slide"):
                parts.append((c.v, rate[..., c.body, c.move.element, None]))
                continue
            ball = list(self.skeleton.joints[c.body].ball or ())
            turn = rotation[..., c.body, :, :]
            spin = -x[..., ball] if c.flipped else (turn.mT @ x[..., ball, None])[..., 0]
            if c.move.kind == "free":
                axes = torch.as_tensor(c.move.axis)
                moved = rate[..., c.body, 3:] @ axes
                if self.free_in_child:
                    if a is not None:  # the child's axes turn
                        moved = moved - torch.linalg.cross(v[..., ball], e1[..., c.body, 3:] @ axes)
                    moved = (turn.mT @ moved[..., None])[..., 0]
                else:
                    moved = moved @ torch.as_tensor(c.base.rotation).T
                parts.append((c.v, moved))
            parts.append((c.v + 3 * (c.move.kind == "free"), spin))
        return _in_order(parts)

    def speed_matrix(self, q: Tensor) -> Tensor:
        """V with engine speeds V v, shape [..., its nv, nv]."""
        nv = self.skeleton.nv
        eye = torch.eye(nv, dtype=q.dtype).expand(*q.shape[:-1], nv, nv)
        return self.speeds(q[..., None, :].expand(*q.shape[:-1], nv, q.shape[-1]), eye).mT

    def pull_back(self, q: Tensor, forces: Tensor) -> Tensor:
        """Forces on motorque's coordinates from the engine's, V' f, without making V."""
        with torch.enable_grad():
            v = torch.zeros(*forces.shape[:-1], self.skeleton.nv, dtype=q.dtype).requires_grad_()
            (found,) = torch.autograd.grad(
                self.speeds(q, v), v, forces, create_graph=q.requires_grad or forces.requires_grad
            )
        return found

    def _rotations(self, q: Tensor, elements: Tensor) -> Tensor:
        return joint_transforms(self.skeleton, elements, self.skeleton.split_positions(q)[1])[0]


def _in_order(parts: list[tuple[int, Tensor]]) -> Tensor:
    return torch.cat([part for _, part in sorted(parts, key=lambda x: x[0])], dim=-1)
