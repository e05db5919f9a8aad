"""All forces of a model besides muscles and actuators, at once: limits, springs, bushings, ligaments and contact.

forces = read_model_forces(read_osim(path), ["muscles"], journal=journal)
tau, loads = forces(skeleton, q, v)
a = forward_dynamics(skeleton, q, v, tau, loads=loads)
simulate(skeleton, q0, v0, None, times, forces=forces)

The indices in such forces are those of the model's own skeleton.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from motorque.mechanics.arguments import Wrench, check
from motorque.mechanics.body_forces import BodyForce, body_states, body_wrenches
from motorque.mechanics.contact import ContactModel, is_batched, moved
from motorque.mechanics.model_forces import CoordinateForce, coordinate_forces
from motorque.mechanics.reduced import fill, fold
from motorque.mechanics.speeds import speed_matrix
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class ModelForces:
    """The forces of a model that follow from where it is and how it moves.

    Args:
        on_coordinates: Generalized forces on single coordinates.
        on_bodies: Forces between bodies.
    """

    on_coordinates: tuple[CoordinateForce, ...] = ()
    on_bodies: tuple[BodyForce, ...] = ()

    def __call__(
        self, skeleton: Skeleton, q: Tensor, v: Tensor, *, as_simbody: bool = False
    ) -> tuple[Tensor, dict[str, Wrench]]:
        """What all of them come to.

        Args:
            skeleton: The skeleton that the indices of the forces refer to, in any rotation format.
            q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq], or without coupled coordinates.
            v: Speeds, shape [..., nv], alike.
            as_simbody: For forces on single angles of a ball joint: take the joint's angular velocity for the angles'
                rates, and let the force be a moment about an axis of F, as OpenSim does; instead of a force that does
                work on its angle.

        Returns:
            Generalized forces [N·m or N], shape [..., nv], or without coupled coordinates, if positions have none; and
            force [N] and moment about the ground origin [N·m] by body name, each [..., 3].

        Raises:
            DataError: Shapes, devices or precisions do not fit the skeleton.
        """
        given = check(skeleton, q, {"v": v})
        q, v = given.tensors["q"], given.tensors["v"]
        if given.reduced:
            q, v, _ = fill(skeleton, q, v)
        tau = self._on_coordinates(skeleton, q, v, as_simbody=as_simbody)
        wrenches: dict[str, Wrench] = {}
        if self.on_bodies:
            poses, motion = body_states(skeleton, q, v)
            total = body_wrenches(self._single, poses, motion)
            if self.contact is not None:
                for body, (force, moment) in self.contact.at(poses, motion).on_bodies().items():
                    before = total.get(body)
                    total[body] = (force, moment) if before is None else (before[0] + force, before[1] + moment)
            wrenches = {skeleton.body_names[body]: wrench for body, wrench in total.items()}
        return (fold(skeleton, q, tau) if given.reduced else tau), wrenches

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> ModelForces:
        """The same with their tensors on another device or in another precision."""
        return moved(self, device, dtype)

    @cached_property
    def contact(self) -> ContactModel | None:
        """Those of the forces that are spheres on a floor fixed to ground, as one."""
        return ContactModel.of_forces(self.on_bodies)

    @cached_property
    def _single(self) -> tuple[BodyForce, ...]:
        return tuple(force for force in self.on_bodies if not is_batched(force))

    def _on_coordinates(self, skeleton: Skeleton, q: Tensor, v: Tensor, *, as_simbody: bool) -> Tensor:
        """Generalized forces of the laws on single coordinates, shape [..., nv]."""
        within = {c for joint in skeleton.joints for c in joint.ball or ()}
        if within.isdisjoint(force.coordinate for force in self.on_coordinates):
            return coordinate_forces(self.on_coordinates, skeleton.split_positions(q)[0], v)
        by_angles = skeleton.with_rotations("angles")
        angles = convert_positions(q, skeleton, by_angles)
        if as_simbody:
            return coordinate_forces(self.on_coordinates, angles, v)
        # Speeds are E q̇: what does the work τ·q̇ at the angles' rates does it at the speeds as E⁻ᵀ τ.
        matrix = speed_matrix(by_angles, angles)
        rate = torch.linalg.solve(matrix, v[..., None])[..., 0]
        tau = coordinate_forces(self.on_coordinates, angles, rate)
        return torch.linalg.solve(matrix.mT, tau[..., None])[..., 0]
