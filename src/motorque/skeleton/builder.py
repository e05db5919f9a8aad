"""From a list of bodies and joints, in any order and direction, to a `Skeleton`: a tree with parents first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import ModelError
from motorque.skeleton.functions import Function, Linear
from motorque.skeleton.skeleton import (
    STANDARD_GRAVITY,
    ContactSphere,
    Coordinate,
    Coupler,
    Element,
    Joint,
    Marker,
    PointConstraint,
    Skeleton,
)

Array = NDArray[np.float64]
ZERO = Element(Linear(0.0, 0.0))


@dataclass(frozen=True)
class Body:
    """A rigid body: mass [kg], centre of mass in its frame [m], inertia about that centre [kg·m²], shape [3, 3]."""

    name: str
    mass: float
    mass_center: Array
    inertia: Array


@dataclass(frozen=True)
class Frame:
    """A frame fixed to a body: position [m], shape [3], and rotation, shape [3, 3]."""

    body: str
    position: Array = field(default_factory=lambda: np.zeros(3))
    rotation: Array = field(default_factory=lambda: np.eye(3))

    def then(self, position: Array, rotation: Array) -> Frame:
        """A frame given in this one, expressed in the body."""
        return Frame(self.body, self.position + self.rotation @ position, self.rotation @ rotation)


def euler_xyz(angles: Sequence[float] | Array) -> Array:
    """Rotation matrix of body-fixed x-y-z angles [rad], OpenSim's ``orientation``; shape [3, 3]."""
    return np.asarray(Rotation.from_euler("XYZ", np.asarray(angles, dtype=float)).as_matrix())


@dataclass(frozen=True)
class JointSpec:
    """A joint before the tree is known.

    Args:
        name: Its name.
        kind: OpenSim's class name.
        parent: Frame F.
        child: Frame M.
        coordinates: Its coordinates, in the model's order.
        elements: Three rotations then three translations; coordinate indices count within this joint.
        rotation_axes: Rows are the rotation axes, shape [3, 3].
        translation_axes: Rows are the translation axes in F, shape [3, 3].
        ball: Whether the first three coordinates' speeds are an angular velocity in F.
    """

    name: str
    kind: str
    parent: Frame
    child: Frame
    coordinates: tuple[Coordinate, ...] = ()
    elements: tuple[Element, ...] = (ZERO,) * 6
    rotation_axes: Array = field(default_factory=lambda: np.eye(3))
    translation_axes: Array = field(default_factory=lambda: np.eye(3))
    ball: bool = False


@dataclass(frozen=True)
class Attachments:
    """What hangs on the bodies, by name: markers, couplers, constraints, contact spheres."""

    markers: Sequence[tuple[str, Frame, bool]] = ()
    couplers: Sequence[tuple[str, str, str, Function, float]] = ()
    point_constraints: Sequence[tuple[str, str, Array, str, Array]] = ()
    contact_spheres: Sequence[tuple[str, str, Array, float]] = ()


def build_skeleton(
    name: str,
    bodies: Sequence[Body],
    joints: Sequence[JointSpec],
    attachments: Attachments | None = None,
    *,
    gravity: Sequence[float] = STANDARD_GRAVITY,
) -> Skeleton:
    """Order bodies and joints into a tree rooted at ground and pack their numbers into tensors (float64, CPU).

    Raises:
        ModelError: A body without a joint, a joint to a body that is not there, a loop, a repeated name, a negative
            mass, or a moving body without mass at the end of a chain.
    """
    attachments = attachments or Attachments()
    _check_names(name, bodies, joints)
    order = _spanning_tree(name, bodies, joints)
    by_name = {body.name: body for body in bodies}
    index = {"ground": -1, **{child: i for i, (_, child, _) in enumerate(order)}}
    coordinates = tuple(replace(c, joint=j.name) for j in joints for c in j.coordinates)
    first = dict(
        zip([j.name for j in joints], np.cumsum([0] + [len(j.coordinates) for j in joints[:-1]]).tolist(), strict=True)
    )
    coordinate_index = {c.name: i for i, c in enumerate(coordinates)}
    _check_masses(
        name, [(by_name[child], joint) for joint, child, _ in order], {p for j, _, _ in order for p in _ends(j)}
    )
    _check_segments(name, by_name, attachments)

    def tensor(values: object) -> torch.Tensor:
        return torch.as_tensor(np.array(values, dtype=np.float64))

    def joint(spec: JointSpec, is_reversed: bool) -> Joint:
        start = first[spec.name]

        def shifted(element: Element) -> Element:
            return replace(
                element,
                coordinate=element.coordinate + start if element.coordinate >= 0 else -1,
                factor_coordinate=element.factor_coordinate + start if element.factor_coordinate >= 0 else -1,
            )

        elements = tuple(shifted(e) for e in spec.elements)
        indices = tuple(range(start, start + len(spec.coordinates)))
        ball = (start, start + 1, start + 2) if spec.ball else None
        return Joint(spec.name, spec.kind, elements, indices, is_reversed, ball)  # type: ignore[arg-type]

    def body_index(label: str, about: str) -> int:
        if label not in index:
            raise ModelError(f"{name}: {about} is on body {label!r}, which the model does not have")
        return index[label]

    def follows(about: str, coordinate: str) -> int:
        if coordinate not in coordinate_index:
            raise ModelError(f"{name}: {about} names the coordinate {coordinate!r}, which the model does not have")
        return coordinate_index[coordinate]

    n = len(order)
    return Skeleton(
        name=name,
        body_names=tuple(child for _, child, _ in order),
        parents=tuple(
            index[spec.parent.body if child == spec.child.body else spec.child.body] for spec, child, _ in order
        ),
        joints=tuple(joint(spec, rev) for spec, _, rev in order),
        coordinates=coordinates,
        mass=tensor([by_name[child].mass for _, child, _ in order]),
        mass_center=tensor([by_name[child].mass_center for _, child, _ in order]).reshape(n, 3),
        inertia=tensor([by_name[child].inertia for _, child, _ in order]).reshape(n, 3, 3),
        parent_rotation=tensor([spec.parent.rotation for spec, _, _ in order]).reshape(n, 3, 3),
        parent_position=tensor([spec.parent.position for spec, _, _ in order]).reshape(n, 3),
        child_rotation=tensor([spec.child.rotation for spec, _, _ in order]).reshape(n, 3, 3),
        child_position=tensor([spec.child.position for spec, _, _ in order]).reshape(n, 3),
        rotation_axes=tensor([_unit(name, spec, spec.rotation_axes) for spec, _, _ in order]).reshape(n, 3, 3),
        translation_axes=tensor([_unit(name, spec, spec.translation_axes) for spec, _, _ in order]).reshape(n, 3, 3),
        translation_scale=torch.ones(n, 3, dtype=torch.float64),
        markers=tuple(
            Marker(label, body_index(f.body, f"marker {label!r}"), fixed) for label, f, fixed in attachments.markers
        ),
        marker_position=tensor([f.position for _, f, _ in attachments.markers]).reshape(-1, 3),
        couplers=tuple(
            Coupler(label, follows(f"coupler {label!r}", dep), follows(f"coupler {label!r}", ind), function, scale)
            for label, dep, ind, function, scale in attachments.couplers
        ),
        point_constraints=tuple(
            PointConstraint(label, body_index(a, label), tuple(p), body_index(b, label), tuple(r))
            for label, a, p, b, r in attachments.point_constraints
        ),
        contact_spheres=tuple(
            ContactSphere(label, body_index(b, f"contact sphere {label!r}"), tuple(c), r)
            for label, b, c, r in attachments.contact_spheres
        ),
        gravity=tensor(gravity),
    )


def _ends(joint: JointSpec) -> tuple[str, str]:
    return joint.parent.body, joint.child.body


def _unit(name: str, spec: JointSpec, axes: Array) -> Array:
    length = np.linalg.norm(axes, axis=1)
    if (length < 1e-12).any():
        raise ModelError(f"{name}: joint {spec.name!r} has an axis of zero length")
    return np.asarray(axes / length[:, None])


def _check_names(name: str, bodies: Sequence[Body], joints: Sequence[JointSpec]) -> None:
    for what, names in (
        ("body", [b.name for b in bodies]),
        ("joint", [j.name for j in joints]),
        ("coordinate", [c.name for j in joints for c in j.coordinates]),
    ):
        repeated = {n for n in names if names.count(n) > 1}
        if repeated:
            raise ModelError(f"{name}: two {what} entries are named {sorted(repeated)[0]!r}; names must be unique")
    known = {"ground", *(b.name for b in bodies)}
    for joint in joints:
        for end in _ends(joint):
            if end not in known:
                raise ModelError(f"{name}: joint {joint.name!r} hangs on body {end!r}, which the model does not have")


def _spanning_tree(name: str, bodies: Sequence[Body], joints: Sequence[JointSpec]) -> list[tuple[JointSpec, str, bool]]:
    """Joints as (joint, body that it adds, reversed), depth first from ground in the model's order."""
    order: list[tuple[JointSpec, str, bool]] = []
    reached, used = {"ground"}, set[str]()

    def grow(root: str) -> None:
        stack = [root]
        while stack:
            body = stack.pop()
            found = []
            for joint in joints:
                if joint.name in used or body not in _ends(joint):
                    continue
                other = joint.child.body if joint.parent.body == body else joint.parent.body
                used.add(joint.name)
                if other in reached:
                    raise ModelError(
                        f"{name}: joint {joint.name!r} closes a loop between {body!r} and {other!r}; loops are not "
                        "supported: replace one joint of the loop by a constraint"
                    )
                reached.add(other)
                order.append((joint, other, joint.parent.body == other))
                found.append(other)
            stack += reversed(found)

    grow("ground")
    lost = [b.name for b in bodies if b.name not in reached]
    if lost:
        reached.add(lost[0])
        grow(lost[0])  # bodies that hang on each other in a circle are a loop, which it says
        raise ModelError(
            f"{name}: no chain of joints connects body {lost[0]!r} to ground; add its joint or its missing parent"
        )
    position = {child: i for i, (_, child, _) in enumerate(order)}
    assert all(position.get(next(e for e in _ends(j) if e != child), -1) < i for i, (j, child, _) in enumerate(order))
    return order


def _check_segments(name: str, bodies: Mapping[str, Body], attachments: Attachments) -> None:
    """Massless frames between joints are usual; a body that carries markers is a segment, and a segment weighs."""
    for label, frame, _ in attachments.markers:
        body = bodies.get(frame.body)
        if body is not None and body.mass == 0:
            raise ModelError(
                f"{name}: body {body.name!r} has a mass of zero but carries the marker {label!r}, so it is a segment; "
                "give it its mass"
            )


def _check_masses(name: str, links: Sequence[tuple[Body, JointSpec]], parents: set[str]) -> None:
    children = {end: 0 for end in parents}
    for _, joint in links:
        for end in _ends(joint):
            children[end] = children.get(end, 0) + 1
    for body, joint in links:
        if body.mass < 0:
            raise ModelError(f"{name}: body {body.name!r} has a negative mass ({body.mass:g} kg); give it its mass")
        is_leaf = children[body.name] == 1
        on_ground = "ground" in _ends(joint)  # a load cell or a table without mass disturbs nobody
        if body.mass == 0 and is_leaf and not on_ground and joint.coordinates:
            raise ModelError(
                f"{name}: body {body.name!r} has a mass of zero at the end of a chain, so joint {joint.name!r} could "
                "accelerate without force; give it its mass or weld it"
            )
