"""The mass matrix of a tree, solved without being made: the articulated-body algorithm.

Inward, each body with all that hangs on it is one rigid body, from whose inertia what its joint lets go is taken out,
one speed at a time: a step of Gaussian elimination. Outward, the speeds' accelerations follow in reverse. Everything is
in the axes of ground, about the origins of the joints' frames M.

Velocities do not come in: what they do, like gravity and loads, is in the bias forces, which inverse dynamics knows.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 7.3.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.mechanics.mass_matrix import own_twists, rigid_bodies
from motorque.mechanics.tree import Layout, TreePose
from motorque.skeleton.skeleton import GROUND, Skeleton


@dataclass(frozen=True, eq=False)
class Step:
    """One speed that was taken out.

    Args:
        speed: Its index.
        direction: Twist per unit of it, angular then linear, shape [..., 6].
        gain: Acceleration that it takes away per unit acceleration of the body, shape [..., 6].
        inertia: What its force has to move [kg·m² or kg], shape [...].
    """

    speed: int
    direction: Tensor
    gain: Tensor
    inertia: Tensor


@dataclass(frozen=True, eq=False)
class ArticulatedTree:
    """A mass matrix as the steps that solve it.

    Args:
        skeleton: The skeleton.
        steps: The steps of each body's joint, in the order in which they were taken.
        arms: From the origin of the parent's joint to the one of the body's [m], shape [..., B, 3].
        locked: Speeds whose accelerations are zero, whatever it takes.
    """

    skeleton: Skeleton
    steps: tuple[tuple[Step, ...], ...]
    arms: Tensor
    locked: frozenset[int]

    @staticmethod
    def of(skeleton: Skeleton, tree: TreePose, q: Tensor, locked: Collection[int] = ()) -> ArticulatedTree:
        """Take out all speeds but the locked ones.

        Args:
            skeleton: The skeleton.
            tree: Its bodies at ``q``.
            q: Positions, shape [..., nq].
            locked: Indices of speeds.
        """
        origin = tree.axes.origin
        arms = origin - origin.index_select(-2, Layout.of(skeleton).parents)
        directions = own_twists(skeleton, tree, q).unbind(-2)
        inertias = list(_spatial_inertias(skeleton, tree).unbind(-3))
        shifts = _shifts(arms).unbind(-3)
        found: list[tuple[Step, ...]] = [()] * len(inertias)
        for body in reversed(range(len(inertias))):
            steps, inertia = [], inertias[body]
            for speed in reversed(skeleton.joints[body].coordinates):
                if speed in locked:
                    continue
                moved = (inertia @ directions[speed][..., None])[..., 0]
                amount = (directions[speed] * moved).sum(-1)
                gain = moved / amount[..., None]
                inertia = inertia - gain[..., :, None] * moved[..., None, :]
                steps.append(Step(speed, directions[speed], gain, amount))
            found[body] = tuple(steps)
            parent = skeleton.parents[body]
            if parent != GROUND:
                inertias[parent] = inertias[parent] + shifts[body].mT @ inertia @ shifts[body]
        return ArticulatedTree(skeleton, tuple(found), arms, frozenset(locked))

    def solve(self, forces: Tensor) -> Tensor:
        """Accelerations that forces cause; both [..., nv], further batch dimensions in front allowed."""
        arms, cross = self.arms.unbind(-2), torch.linalg.cross
        parents, columns = self.skeleton.parents, forces.unbind(-1)
        wrenches: list[Tensor | None] = [None] * len(parents)
        rates: dict[int, Tensor] = {}
        for body in reversed(range(len(parents))):
            wrench = wrenches[body]
            for step in self.steps[body]:
                left = columns[step.speed]
                if wrench is not None:
                    left = left - (step.direction * wrench).sum(-1)
                share = step.gain * left[..., None]
                wrench = share if wrench is None else wrench + share
                rates[step.speed] = left / step.inertia
            parent = parents[body]
            if parent != GROUND and wrench is not None:
                moment, force = wrench.split(3, dim=-1)
                moved = torch.cat([moment + cross(arms[body].expand_as(force), force), force], dim=-1)
                before = wrenches[parent]
                wrenches[parent] = moved if before is None else before + moved
        twists: list[Tensor | None] = []
        for body, parent in enumerate(parents):
            twist = None if parent == GROUND else twists[parent]
            if twist is not None:
                angular, linear = twist.split(3, dim=-1)
                twist = torch.cat([angular, linear + cross(angular, arms[body].expand_as(angular))], dim=-1)
            for step in reversed(self.steps[body]):
                if twist is not None:
                    rates[step.speed] = rates[step.speed] - (step.gain * twist).sum(-1)
                share = step.direction * rates[step.speed][..., None]
                twist = share if twist is None else twist + share
            twists.append(twist)
        none = torch.zeros_like(columns[0])
        return torch.stack([rates.get(speed, none).expand_as(none) for speed in range(self.skeleton.nv)], dim=-1)

    def inertias(self) -> Tensor:
        """What each speed's force has to move [kg·m² or kg], shape [..., nv]; infinite for locked speeds."""
        found = {step.speed: step.inertia for steps in self.steps for step in steps}
        fixed = torch.full_like(self.arms[..., 0, 0], float("inf"))
        return torch.stack([found.get(speed, fixed) for speed in range(self.skeleton.nv)], dim=-1)


def _spatial_inertias(skeleton: Skeleton, tree: TreePose) -> Tensor:
    """From twists to momenta of each body, angular then linear, shape [..., B, 6, 6]."""
    moment, inertia = rigid_bodies(skeleton, tree)
    across = _crossing(moment)
    eye = torch.eye(3, dtype=moment.dtype, device=moment.device)
    mass = (skeleton.mass[:, None, None] * eye).expand_as(inertia)
    return torch.cat([torch.cat([inertia, across], dim=-1), torch.cat([across.mT, mass], dim=-1)], dim=-2)


def _shifts(arms: Tensor) -> Tensor:
    """Matrices that take a twist to a point that an arm [..., 3] further; [..., 6, 6]."""
    eye = torch.eye(3, dtype=arms.dtype, device=arms.device).expand(*arms.shape, 3)
    upper = torch.cat([eye, torch.zeros_like(eye)], dim=-1)
    return torch.cat([upper, torch.cat([_crossing(arms).mT, eye], dim=-1)], dim=-2)


def _crossing(x: Tensor) -> Tensor:
    """Matrices of the cross product with vectors [..., 3]."""
    a, b, c = x.unbind(-1)
    o = torch.zeros_like(a)
    return torch.stack([o, -c, b, c, o, -a, -b, a, o], dim=-1).unflatten(-1, (3, 3))
