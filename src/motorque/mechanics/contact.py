"""Contact of a body's spheres with the floor: all spheres of all frames at once.

contact = ContactModel.of(skeleton)                     # the skeleton's own spheres on the floor Y = 0
a = forward_dynamics(skeleton, q, v, tau, loads=contact.loads(skeleton, q, v))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar, cast

import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.body_forces import BodyForce, SphereOnFloor, body_states
from motorque.mechanics.contact_laws import ContactLaw, HuntCrossley, SmoothHuntCrossley
from motorque.mechanics.inverse_dynamics import BodyMotion
from motorque.mechanics.kinematics import BodyPoses
from motorque.mechanics.tree import turn
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import GROUND, Skeleton

T = TypeVar("T")
_UNIT = 1e-6
"""How far from 1 the length of a normal may be; single precision gives 1e-7."""


@dataclass(frozen=True, eq=False)
class Floor:
    """A plane that does not move, or one for every sphere.

    Args:
        point: A point of it in ground [m], shape [3] or [S, 3].
        normal: Unit vector out of it, shape [3] or [S, 3].

    Raises:
        ModelError: The normal is no unit vector.
    """

    point: Tensor
    normal: Tensor

    def __post_init__(self) -> None:
        if self.normal.is_meta:
            return
        if bool(((self.normal.detach().norm(dim=-1) - 1).abs() > _UNIT).any()):
            raise ModelError("the floor's normal must be a unit vector")

    @staticmethod
    def level(height: float = 0.0, *, like: Tensor) -> Floor:
        """The horizontal floor at a height [m] over ground's origin."""
        return Floor(
            torch.tensor([0.0, height, 0.0], dtype=like.dtype, device=like.device),
            torch.tensor([0.0, 1.0, 0.0], dtype=like.dtype, device=like.device),
        )


@dataclass(frozen=True, eq=False)
class Contacts:
    """What acts on spheres at each frame.

    Args:
        names: Names of the spheres.
        bodies: Indices of their bodies.
        force: Forces on them in ground [N], shape [..., S, 3].
        point: Points in ground at which they act [m], shape [..., S, 3]: half way between floor and sphere's lowest
            point, as in OpenSim.
        depth: How far each sphere is in the floor [m]; negative in the air; shape [..., S].
    """

    names: tuple[str, ...]
    bodies: tuple[int, ...]
    force: Tensor
    point: Tensor
    depth: Tensor

    def on_bodies(self) -> dict[int, Wrench]:
        """Force [N] and moment about the ground origin [N·m] by body index, each [..., 3]."""
        touched = tuple(dict.fromkeys(self.bodies))
        moment = torch.linalg.cross(self.point, self.force)
        share = constant(
            [[float(b == body) for b in self.bodies] for body in touched], self.force.device, self.force.dtype
        )
        forces, moments = (share @ self.force).unbind(-2), (share @ moment).unbind(-2)
        return {body: (f, m) for body, f, m in zip(touched, forces, moments, strict=True)}


@dataclass(frozen=True, eq=False)
class ContactModel:
    """Spheres on bodies, what they touch and how.

    Args:
        names: Names of the S spheres.
        bodies: Indices of their bodies.
        centers: Centres in their bodies [m], shape [S, 3].
        radii: [m], shape [S].
        law: Forces from depth and speeds: `SmoothHuntCrossley` or `HuntCrossley`.
        floor: What they touch.

    Raises:
        ModelError: A sphere is on no moving body, or numbers of spheres differ.
    """

    names: tuple[str, ...]
    bodies: tuple[int, ...]
    centers: Tensor
    radii: Tensor
    law: ContactLaw
    floor: Floor

    def __post_init__(self) -> None:
        count = len(self.names)
        if len(self.bodies) != count or self.centers.shape != (count, 3) or self.radii.shape != (count,):
            raise ModelError(
                f"contact: {count} spheres need as many bodies, centres [{count}, 3] and radii [{count}], got "
                f"{len(self.bodies)}, {list(self.centers.shape)} and {list(self.radii.shape)}"
            )
        for name, body in zip(self.names, self.bodies, strict=True):
            if body == GROUND:
                raise ModelError(f"contact: the sphere {name!r} is fixed to ground; put it on a body that moves")

    @staticmethod
    def of(skeleton: Skeleton, law: ContactLaw | None = None, *, floor: Floor | None = None) -> ContactModel:
        """The contact spheres of a skeleton.

        Args:
            skeleton: The skeleton.
            law: How they touch; None for `SmoothHuntCrossley` with its defaults.
            floor: What they touch; None for the plane Y = 0.

        Raises:
            ModelError: The skeleton has no contact spheres, or one of them is fixed to ground.
        """
        spheres, like = skeleton.contact_spheres, skeleton.mass
        if not spheres:
            raise ModelError(
                f"{skeleton.name}: contact is asked for, but the skeleton has no contact spheres; give a ContactModel "
                "with some"
            )
        return ContactModel(
            tuple(s.name for s in spheres),
            tuple(s.body for s in spheres),
            torch.tensor([s.center for s in spheres], dtype=like.dtype, device=like.device),
            torch.tensor([s.radius for s in spheres], dtype=like.dtype, device=like.device),
            SmoothHuntCrossley() if law is None else law,
            Floor.level(like=like) if floor is None else floor,
        )

    @staticmethod
    def of_forces(forces: Sequence[BodyForce]) -> ContactModel | None:
        """The ``SmoothSphereHalfSpaceForce`` elements of a model on floors that do not move; None if there are none.

        Args:
            forces: A model's forces (``ModelForces.on_bodies``); others than these are left alone.
        """
        spheres = [f for f in forces if is_batched(f)]
        if not spheres:
            return None
        dtype, laws = spheres[0].center.dtype, [s.law for s in spheres]
        numbers = {
            field.name: torch.tensor([getattr(law, field.name) for law in laws], dtype=dtype)
            for field in dataclasses.fields(SmoothHuntCrossley)
        }
        return ContactModel(
            tuple(s.name for s in spheres),
            tuple(s.body for s in spheres),
            torch.stack([s.center for s in spheres]),
            torch.tensor([s.radius for s in spheres], dtype=dtype),
            SmoothHuntCrossley(**numbers),
            Floor(
                torch.stack([s.floor.position for s in spheres]),
                torch.stack([-s.floor.rotation[:, 0] for s in spheres]),  # a half space fills its frame's positive x
            ),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> ContactModel:
        """The same with its tensors on another device or in another precision."""
        return moved(self, device, dtype)

    def forces(self, skeleton: Skeleton, q: Tensor, v: Tensor) -> Contacts:
        """Forces on all spheres.

        Args:
            skeleton: The skeleton.
            q: Positions, shape [..., nq], or without coupled coordinates.
            v: Speeds, shape [..., nv], alike.

        Raises:
            DataError: Shapes, devices or precisions do not fit.
        """
        if self.centers.dtype != skeleton.mass.dtype or self.centers.device != skeleton.mass.device:
            raise DataError(
                f"{skeleton.name}: the contact spheres are {self.centers.dtype} on {self.centers.device} but the "
                f"skeleton {skeleton.mass.dtype} on {skeleton.mass.device}; bring them there (contact.to(...))"
            )
        return self.at(*body_states(skeleton, q, v))

    def loads(self, skeleton: Skeleton, q: Tensor, v: Tensor) -> dict[str, Wrench]:
        """Force [N] and moment about the ground origin [N·m] by body name, each [..., 3]; see :meth:`forces`."""
        on_bodies = self.forces(skeleton, q, v).on_bodies()
        return {skeleton.body_names[body]: wrench for body, wrench in on_bodies.items()}

    def at(self, poses: BodyPoses, motion: BodyMotion) -> Contacts:
        """Forces on all spheres from poses and velocities of all bodies in ground."""
        index, normal = constant(self.bodies, self.centers.device), self.floor.normal
        arm = turn(poses.rotation.index_select(-3, index), self.centers)
        center = poses.position.index_select(-2, index) + arm
        depth = self.radii - ((center - self.floor.point) * normal).sum(-1)
        down = (0.5 * depth - self.radii)[..., None] * normal
        point = center + down
        angular = motion.angular_velocity.index_select(-2, index)
        velocity = motion.velocity.index_select(-2, index) + torch.linalg.cross(angular, arm + down)
        leaving = (velocity * normal).sum(-1)
        slip = velocity - leaving[..., None] * normal
        pressed, rubbed = self.law(depth, -leaving, slip, self.radii)
        return Contacts(self.names, self.bodies, pressed[..., None] * normal + rubbed, point, depth)


def is_batched(force: BodyForce) -> TypeGuard[SphereOnFloor]:
    """Whether :meth:`ContactModel.of_forces` takes a force: a sphere of a moving body on a floor fixed to ground."""
    return (
        isinstance(force, SphereOnFloor)
        and force.floor.body == GROUND
        and force.body != GROUND
        and isinstance(force.law, SmoothHuntCrossley)
    )


def moved(x: T, device: torch.device | str | None, dtype: torch.dtype | None) -> T:
    """Tensors, and data classes and tuples with tensors somewhere within, on another device or in another precision."""
    found: Any = x
    if isinstance(x, Tensor):
        found = x.to(device=device, dtype=dtype)
    elif isinstance(x, tuple):
        found = tuple(moved(entry, device, dtype) for entry in x)
    elif dataclasses.is_dataclass(x) and not isinstance(x, type):
        fields = {f.name: getattr(x, f.name) for f in dataclasses.fields(x) if f.init}
        changed = {name: new for name, y in fields.items() if (new := moved(y, device, dtype)) is not y}
        found = dataclasses.replace(x, **changed) if changed else x
    return cast(T, found)


__all__ = [
    "ContactLaw",
    "ContactModel",
    "Contacts",
    "Floor",
    "HuntCrossley",
    "SmoothHuntCrossley",
    "is_batched",
    "moved",
]
