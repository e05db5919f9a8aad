"""The body as data: a tree of rigid bodies, the joints between them, and what is attached to it.

Bodies are listed parents first; joint ``i`` connects body ``i`` to body ``parents[i]`` (-1 is ground). A joint has a
parent frame F and a child frame M and is driven by six elements, three translations along axes fixed in F and then
three body-fixed rotations, each the product of two functions of one coordinate each (the second is 1 but for
ellipsoids):

    X_FM = translation(t1 d1 + t2 d2 + t3 d3) · R(a1, r1) R(a2, r2) R(a3, r3)

``reversed`` joints are those whose model-file parent is the tree's child: F is then fixed in the tree's child.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from motorque.errors import ModelError
from motorque.skeleton.constants import constant
from motorque.skeleton.functions import Function, FunctionTable
from motorque.skeleton.tables import KinematicsTables, check_bound_angles
from motorque.spatial import RotationFormat, rotation_to_matrix, rotation_width

GROUND = -1
STANDARD_GRAVITY = (0.0, -9.80665, 0.0)


@dataclass(frozen=True)
class Coordinate:
    """One generalized coordinate.

    Args:
        name: OpenSim's name (``hip_flexion_r``).
        rotational: Whether it is an angle [rad] (else a length [m]).
        default: Default value [rad or m].
        range: Smallest and largest value [rad or m].
        clamped: Whether the range is to be kept.
        locked: Whether it stays at its default.
        joint: Name of its joint.
    """

    name: str
    rotational: bool = True
    default: float = 0.0
    range: tuple[float, float] = (-float("inf"), float("inf"))
    clamped: bool = False
    locked: bool = False
    joint: str = ""


@dataclass(frozen=True)
class Element:
    """One elementary motion of a joint: the product of two functions of one coordinate each.

    Args:
        function: First function.
        coordinate: Index of its coordinate, -1 for none (a constant).
        factor: Second function, or None for 1.
        factor_coordinate: Index of the second function's coordinate.
    """

    function: Function
    coordinate: int = -1
    factor: Function | None = None
    factor_coordinate: int = -1


@dataclass(frozen=True)
class Joint:
    """How a body hangs on its parent.

    Args:
        name: Name in the model.
        kind: OpenSim's class name (``CustomJoint``, ``PinJoint``, ``BallJoint``…).
        elements: Three rotations, then three translations.
        coordinates: Indices of its coordinates.
        reversed: Whether the model file has parent and child the other way round than the tree.
        ball: Indices of three coordinates whose speeds are an angular velocity in the parent frame (ball and free
            joints).
    """

    name: str
    kind: str
    elements: tuple[Element, Element, Element, Element, Element, Element]
    coordinates: tuple[int, ...] = ()
    reversed: bool = False
    ball: tuple[int, int, int] | None = None

    @property
    def follows_own_angles(self) -> bool:
        """Whether it is a ball joint whose translations depend on its angles, as an ellipsoid joint's do."""
        driving = {c for e in self.elements[3:] for c in (e.coordinate, e.factor_coordinate)}
        return not driving.isdisjoint(self.ball or ())


@dataclass(frozen=True)
class Marker:
    """A point fixed to a body; marker placement leaves ``fixed`` ones alone. Its offset is in the skeleton's tensor."""

    name: str
    body: int
    fixed: bool = False


@dataclass(frozen=True)
class Coupler:
    """A coordinate that follows another one: ``q[dependent] = scale * function(q[independent])``."""

    name: str
    dependent: int
    independent: int
    function: Function
    scale: float = 1.0


@dataclass(frozen=True)
class PointConstraint:
    """Two body-fixed points that coincide; bodies by index (-1 ground), points in their body [m]."""

    name: str
    body_1: int
    point_1: tuple[float, float, float]
    body_2: int
    point_2: tuple[float, float, float]


@dataclass(frozen=True)
class ContactSphere:
    """A sphere under a foot: body index, centre in that body [m], radius [m]."""

    name: str
    body: int
    center: tuple[float, float, float]
    radius: float


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A skeleton: names and structure as tuples, numbers as float tensors that may carry gradients.

    Args:
        name: The model's name.
        body_names: Names of the B moving bodies, parents first.
        parents: Index of each body's parent, -1 for ground.
        joints: The joint of each body.
        coordinates: All nq coordinates, in the model's order.
        mass: Masses [kg], shape [B].
        mass_center: Centres of mass in the body frame [m], shape [B, 3].
        inertia: Inertia about the centre of mass, body axes [kg·m²], shape [B, 3, 3].
        parent_rotation: Rotation of joint frame F in the body that carries it, shape [B, 3, 3].
        parent_position: Origin of F in the body that carries it [m], shape [B, 3].
        child_rotation: Rotation of joint frame M in the body that carries it, shape [B, 3, 3].
        child_position: Origin of M in the body that carries it [m], shape [B, 3].
        rotation_axes: Unit axes of the three rotations, shape [B, 3 (axis), 3].
        translation_axes: Unit axes of the three translations in F, shape [B, 3 (axis), 3].
        translation_scale: Factor on each translation element [-], shape [B, 3].
        markers: The M markers.
        marker_position: Their positions in their bodies [m], shape [M, 3].
        couplers: Coordinates that follow others.
        point_constraints: Points that coincide.
        contact_spheres: Spheres that touch the ground.
        gravity: Gravity in ground [m/s²], shape [3].
        rotations: How positions give the rotations of ball and free joints (see ``motorque.spatial``).
    """

    name: str
    body_names: tuple[str, ...]
    parents: tuple[int, ...]
    joints: tuple[Joint, ...]
    coordinates: tuple[Coordinate, ...]
    mass: Tensor
    mass_center: Tensor
    inertia: Tensor
    parent_rotation: Tensor
    parent_position: Tensor
    child_rotation: Tensor
    child_position: Tensor
    rotation_axes: Tensor
    translation_axes: Tensor
    translation_scale: Tensor
    markers: tuple[Marker, ...]
    marker_position: Tensor
    couplers: tuple[Coupler, ...] = ()
    point_constraints: tuple[PointConstraint, ...] = ()
    contact_spheres: tuple[ContactSphere, ...] = ()
    gravity: Tensor = field(default_factory=lambda: torch.tensor(STANDARD_GRAVITY, dtype=torch.float64))
    rotations: RotationFormat = "angles"

    def __post_init__(self) -> None:
        # Tables are made here and not at first use, which may be inside a torch.func transform.
        _ = self.kinematics_tables, self._coupler_tables, self.nq
        check_bound_angles(self)

    @property
    def nv(self) -> int:
        """Number of generalized speeds: one for each coordinate, coupled and locked ones included."""
        return len(self.coordinates)

    @cached_property
    def nq(self) -> int:
        """Number of generalized positions: as many as speeds, but for ball joints not given as angles."""
        return self.nv + len(self.balls) * (rotation_width(self.rotations) - 3)

    @cached_property
    def balls(self) -> tuple[int, ...]:
        """Bodies whose joints are ball or free joints, in the order of their coordinates."""
        found = [body for body, joint in enumerate(self.joints) if joint.ball]
        return tuple(sorted(found, key=lambda body: self.joints[body].ball or ()))

    @cached_property
    def position_columns(self) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
        """Columns of a position that are coordinates, in order, and the columns of each ball joint's rotation.

        With ``rotations="angles"`` a ball joint's angles are listed as its rotation, not as coordinates.
        """
        width, plain, balls, column = rotation_width(self.rotations), [], [], 0
        first = {(self.joints[body].ball or (-1,))[0] for body in self.balls}
        within = {c for body in self.balls for c in self.joints[body].ball or ()}
        for coordinate in range(self.nv):
            if coordinate in first:
                balls.append(tuple(range(column, column + width)))
                column += width
            elif coordinate not in within:
                plain.append(column)
                column += 1
        return tuple(plain), tuple(balls)

    @cached_property
    def coordinate_columns(self) -> tuple[int, ...]:
        """Column of a position that holds each coordinate, -1 for those of ball joints that are not given as angles."""
        within = {c for body in self.balls for c in self.joints[body].ball or ()}
        if self.rotations == "angles" or not within:
            return tuple(range(self.nv))
        plain = iter(self.position_columns[0])
        return tuple(-1 if c in within else next(plain) for c in range(self.nv))

    def split_positions(self, q: Tensor) -> tuple[Tensor, Tensor | None]:
        """Positions as one number per coordinate, and the ball joints' rotations where they are not angles.

        Args:
            q: Positions, shape [..., nq].

        Returns:
            Coordinates [rad or m], shape [..., nv], zero where a ball joint's are not angles; rotations from M to F of
            the joints of :attr:`balls`, shape [..., number of balls, 3, 3], or None where all are angles.
        """
        if self.rotations == "angles" or not self.balls:
            return q, None
        plain, balls = self.position_columns
        within = {c for body in self.balls for c in self.joints[body].ball or ()}
        kept = constant([c for c in range(self.nv) if c not in within], q.device)
        coordinates = torch.zeros(*q.shape[:-1], self.nv, dtype=q.dtype, device=q.device)
        coordinates = coordinates.index_copy(-1, kept, q.index_select(-1, constant(plain, q.device)))
        columns = constant(balls, q.device).flatten()
        values = q.index_select(-1, columns).unflatten(-1, (len(balls), -1))
        return coordinates, rotation_to_matrix(values, self.rotations)

    @cached_property
    def coordinate_names(self) -> tuple[str, ...]:
        """Coordinate names in order."""
        return tuple(c.name for c in self.coordinates)

    @cached_property
    def marker_names(self) -> tuple[str, ...]:
        """Marker names in order."""
        return tuple(m.name for m in self.markers)

    @cached_property
    def marker_body(self) -> Tensor:
        """Body index of each marker (-1 ground), shape [M], on the skeleton's device."""
        return torch.tensor([m.body for m in self.markers], dtype=torch.long, device=self.mass.device)

    def body(self, name: str) -> int:
        """Index of a body, -1 for ground; raises :class:`ModelError` if there is none of that name."""
        if name == "ground":
            return GROUND
        if name not in self.body_names:
            raise ModelError(f"{self.name}: no body named {name!r}; there are {', '.join(self.body_names)}")
        return self.body_names.index(name)

    def coordinate(self, name: str) -> int:
        """Index of a coordinate; raises :class:`ModelError` if there is none of that name."""
        if name not in self.coordinate_names:
            raise ModelError(f"{self.name}: no coordinate named {name!r}; there are {', '.join(self.coordinate_names)}")
        return self.coordinate_names.index(name)

    @cached_property
    def default_pose(self) -> Tensor:
        """Default position with the couplers obeyed [rad or m, or as ``rotations`` says], shape [nq]."""
        q = torch.tensor([c.default for c in self.coordinates], dtype=self.mass.dtype, device=self.mass.device)
        if self.nv != self.nq or self.rotations != "angles":
            from motorque.skeleton.rotations import convert_positions

            q = convert_positions(q, self.with_rotations("angles"), self)
        return self.couple(q)

    def couple(self, q: Tensor) -> Tensor:
        """Positions with every coupled coordinate recomputed from the one it follows; shape [..., nq]."""
        for coupler in self.couplers_in_order:
            value, _, _ = self._follow(coupler, q)
            index = constant([self.coordinate_columns[coupler.dependent]], q.device)
            q = q.index_copy(-1, index, value)
        return q

    def couple_derivatives(self, q: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions [..., nq], speeds and accelerations [..., nv] with the couplers obeyed."""
        for coupler in self.couplers_in_order:
            i = slice(coupler.independent, coupler.independent + 1)
            index = constant([coupler.dependent], q.device)
            f0, f1, f2 = self._follow(coupler, q)
            a = a.index_copy(-1, index, f1 * a[..., i] + f2 * v[..., i] ** 2)
            v = v.index_copy(-1, index, f1 * v[..., i])
            q = q.index_copy(-1, constant([self.coordinate_columns[coupler.dependent]], q.device), f0)
        return q, v, a

    def coupling_matrix(self, q: Tensor) -> Tensor:
        """How all speeds follow the free ones; shape [..., nv, number free].

        Free coordinates are those that no coupler drives (:attr:`free_coordinates`).
        """
        jacobian = torch.eye(self.nv, dtype=q.dtype, device=q.device).expand(*q.shape[:-1], -1, -1)
        for coupler in self.couplers_in_order:
            _, f1, _ = self._follow(coupler, q)
            row = f1 * jacobian[..., coupler.independent, :]
            index = constant([coupler.dependent], q.device)
            jacobian = jacobian.index_copy(-2, index, row[..., None, :])
        return jacobian.index_select(-1, constant(self.free_coordinates, q.device))

    def fold_couplers(self, q: Tensor, gradient: Tensor, *matrices: Tensor) -> tuple[Tensor, ...]:
        """A gradient [..., nv] and symmetric matrices [..., nv, nv] with the rows and columns of coupled coordinates
        added to those of the coordinates that they follow (in place); the coupled ones' own entries are left over and
        mean nothing.
        """
        for coupler in reversed(self.couplers_in_order):
            d, i = coupler.dependent, coupler.independent
            _, slope, _ = self._follow(coupler, q)
            gradient[..., i] += slope[..., 0] * gradient[..., d]
            for matrix in matrices:
                matrix[..., i, :] += slope * matrix[..., d, :]
                matrix[..., :, i] += slope * matrix[..., :, d]
        return gradient, *matrices

    @cached_property
    def free_coordinates(self) -> tuple[int, ...]:
        """Indices of the coordinates that no coupler drives."""
        driven = {c.dependent for c in self.couplers}
        return tuple(i for i in range(self.nv) if i not in driven)

    @cached_property
    def couplers_in_order(self) -> tuple[Coupler, ...]:
        """Couplers such that each one's independent coordinate is settled before it is used."""
        waiting, settled = list(self.couplers), set(self.free_coordinates)
        ordered: list[Coupler] = []
        while waiting:
            ready = [c for c in waiting if c.independent in settled]
            if not ready:
                raise ModelError(
                    f"{self.name}: the couplers {', '.join(c.name for c in waiting)} drive each other in a circle"
                )
            ordered += ready
            settled |= {c.dependent for c in ready}
            waiting = [c for c in waiting if c not in ready]
        return tuple(ordered)

    @cached_property
    def _coupler_tables(self) -> dict[str, FunctionTable]:
        return {c.name: FunctionTable((c.function,)) for c in self.couplers}

    def _follow(self, coupler: Coupler, q: Tensor) -> tuple[Tensor, ...]:
        """Value of a coupled coordinate and its two derivatives with the one that it follows, each [..., 1]."""
        column = self.coordinate_columns[coupler.independent]
        return tuple(coupler.scale * f for f in self._coupler_tables[coupler.name](q[..., column : column + 1]))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Skeleton:
        """The same skeleton with its tensors on another device or in another precision."""
        changed: dict[str, Any] = {
            f.name: value.to(device=device, dtype=dtype)
            for f in dataclasses.fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return dataclasses.replace(self, **changed)

    def with_rotations(self, rotations: RotationFormat) -> Skeleton:
        """The same skeleton with positions that give the rotations of ball and free joints in another format.

        Raises:
            DataError: There is no such format.
        """
        return dataclasses.replace(self, rotations=rotations)

    def with_free_root(self) -> Skeleton:
        """The same skeleton with a root whose speeds are an angular velocity; see :func:`rotations.free_root`."""
        from motorque.skeleton.rotations import free_root

        return free_root(self)

    def with_markers(self, markers: Sequence[Marker], position: Tensor) -> Skeleton:
        """The same skeleton with other markers; ``position`` [m], shape [M, 3]."""
        return dataclasses.replace(self, markers=tuple(markers), marker_position=position)

    def bearing_markers(self) -> Skeleton:
        """The same skeleton without the bodies beyond which no marker sits: fewer to move, markers at the same places.

        All coordinates stay, also those that move nothing any more; point constraints and contact spheres go.
        """
        needed = {body for marker in self.markers for body in self.ancestors(marker.body)}
        kept = [body for body in range(len(self.body_names)) if body in needed]
        if not kept:
            return self
        place = {GROUND: GROUND, **{body: i for i, body in enumerate(kept)}}
        tensors = (
            "mass", "mass_center", "inertia", "parent_rotation", "parent_position", "child_rotation",
            "child_position", "rotation_axes", "translation_axes", "translation_scale",
        )  # fmt: skip
        return dataclasses.replace(
            self,
            body_names=tuple(self.body_names[b] for b in kept),
            parents=tuple(place[self.parents[b]] for b in kept),
            joints=tuple(self.joints[b] for b in kept),
            markers=tuple(dataclasses.replace(m, body=place[m.body]) for m in self.markers),
            point_constraints=(),
            contact_spheres=(),
            **{name: getattr(self, name)[kept] for name in tensors},
        )

    def total_mass(self) -> float:
        """Mass of all bodies [kg]."""
        return float(self.mass.sum())

    def ancestors(self, body: int) -> tuple[int, ...]:
        """The body and all bodies between it and ground, from the body upwards."""
        chain = []
        while body != GROUND:
            chain.append(body)
            body = self.parents[body]
        return tuple(chain)

    @cached_property
    def kinematics_tables(self) -> KinematicsTables:
        """The joint elements flattened for batched evaluation."""
        return KinematicsTables.of(self.joints)
