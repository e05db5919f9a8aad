"""Scaling a model file body by body, as OpenSim 4.6's ``Model::scale`` does, checked against the `opensim` wheel.

Every length that is fixed to a body is multiplied by that body's three factors, in the file's own version and
structure. Then muscle fibres, tendons and ligaments follow the ratio of their paths' lengths in the default pose.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, ModelError
from motorque.files.osim import FrameFinder, OsimModel, model_node, osim_from_tree
from motorque.files.osim_edit import multiply, multiply_function, set_numbers
from motorque.files.osim_functions import FUNCTION_TAGS
from motorque.files.osim_mass import scale_masses
from motorque.files.osim_paths import (
    CONDITIONAL_TAGS,
    MOVING_TAGS,
    POINT_TAGS,
    path_node,
    read_paths,
    scaled_lengths,
)
from motorque.files.osim_scale_extras import scale_extras
from motorque.files.xml import Node, boolean, children, numbers, objects, text, where
from motorque.journal import Journal
from motorque.mechanics.muscle_path import path_lengths
from motorque.series import Scales
from motorque.skeleton.builder import Frame, euler_xyz

Array = NDArray[np.float64]


def scale_osim(
    model: OsimModel,
    scales: Scales,
    *,
    mass: float | None = None,
    preserve_mass_distribution: bool = False,
    beyond_opensim: bool = True,
    journal: Journal | None = None,
) -> OsimModel:
    """A scaled copy of a model; the given one stays as it is.

    Args:
        model: The model.
        scales: Factors by body; bodies that are not listed keep their size.
        mass: Total mass after scaling [kg]; None for the mass that comes of it.
        preserve_mass_distribution: Whether bodies keep their shares of the total mass; else each body's mass grows
            with its volume before the total is set.
        beyond_opensim: Whether also contact geometry and points of constraints, springs and point actuators scale,
            which OpenSim 4.6 leaves where they were.
        journal: Where assumptions are recorded.

    Raises:
        DataError: A factor is for a body that the model does not have, or the mass is not positive.
        ModelError: Something in the model can't be scaled.
        FileFormatError: A number in the model is malformed.
    """
    journal = journal if journal is not None else Journal()
    unknown = [b for b in scales.bodies if b != "ground" and b not in model.skeleton.body_names]
    if unknown:
        raise DataError(
            f"{model.path}: the scale factors name the body {unknown[0]!r}, which the model does not have; its bodies "
            f"are {', '.join(model.skeleton.body_names)}"
        )
    if mass is not None and not (np.isfinite(mass) and mass > 0):
        raise DataError(f"the mass must be a positive number of kilograms, got {mass:g}")
    tree = copy.deepcopy(model.tree)
    target = OsimModel(model.path, tree, model.version, model.skeleton)
    _Scaler(target, scales, journal).run()
    if beyond_opensim:
        scale_extras(target, scales, journal)
    scale_masses(target.model, scales, mass, preserve_mass_distribution, journal)
    _scale_path_lengths(model, target, journal)
    return osim_from_tree(tree, model.path, journal=Journal())


@dataclass(frozen=True)
class _Scaler:
    """The walk through a model's elements."""

    target: OsimModel
    scales: Scales
    journal: Journal

    @property
    def frames(self) -> FrameFinder:
        return FrameFinder(self.target.model, list(self.target.skeleton.body_names))

    def run(self) -> None:
        model, frames = self.target.model, self.frames
        # All bodies are found before the first number changes.
        offsets = [
            (
                n,
                self._of(
                    frames.find(text(n, "socket_parent") or text(n, "socket_parent_connectee_name") or "..", _holder(n))
                ),
            )
            for n in model.iter("PhysicalOffsetFrame")
        ]
        joints = [(n, *self._ends(n, frames)) for n in _joint_nodes(model)]
        for node, factors in offsets:
            multiply(node, "translation", factors)
            _scale_geometry(node, factors)
        for body in objects(model.find("BodySet")):
            factors = self.scales.of((body.get("name") or "").strip())
            multiply(body, "mass_center", factors)
            _scale_geometry(body, factors)
        ground = model.find("Ground")
        if ground is not None:
            _scale_geometry(ground, self.scales.of("ground"))
        for holder in model.iter("WrapObjectSet"):
            factors = self._of(frames.find("..", holder))
            for node in objects(holder):
                _scale_wrap(node, factors)
        for node, parent, child in joints:
            _scale_joint(node, parent, child)
        for node in [*model.iter("Marker"), *model.iter("Station")]:
            multiply(node, "location", self._of(_point_frame(node, frames)))
        for tag in ("PathPointSet", "MusclePointSet"):
            for holder in model.iter(tag):
                for node in objects(holder):
                    _scale_path_point(node, self._of(_point_frame(node, frames)))
        for tag in ("BushingForce", "ExpressionBasedBushingForce", "FunctionBasedBushingForce", "WeldConstraint"):
            for node in model.iter(
                tag
            ):  # before version 4 these gave their frames as points, which are offset frames now
                for number in ("1", "2"):
                    name = text(node, f"body_{number}")
                    if name:
                        multiply(node, f"location_body_{number}", self.scales.of(name))
        for node in objects(model.find("ConstraintSet")):
            if node.tag == "CoordinateCouplerConstraint":
                self._scale_coupler(node, joints)

    def _of(self, frame: Frame) -> Array:
        return self.scales.of(frame.body)

    def _ends(self, node: Node, frames: FrameFinder) -> tuple[Array, Array]:
        """Factors of the bodies that carry a joint's parent and child frame."""
        if text(node, "parent_body"):
            body = next(a for a in node.iterancestors("Body"))
            parent, child = self.scales.of(text(node, "parent_body")), self.scales.of((body.get("name") or "").strip())
        else:
            parent = self._of(frames.socket(node, "parent_frame"))
            child = self._of(frames.socket(node, "child_frame"))
        return (child, parent) if boolean(node, "reverse", False) else (parent, child)

    def _is_plain_translation(self, joint: Node, name: str) -> bool:
        """Whether a coordinate is a length along an axis, which OpenSim then scales a coupler for."""
        if joint.tag != "CustomJoint":
            return not self.target.skeleton.coordinates[self.target.skeleton.coordinate(name)].rotational
        driven = [a for a in joint.iter("TransformAxis") if name in _coordinates(a)]
        return bool(driven) and all(_is_translation(a) for a in driven) and _is_identity(_axis_function(driven[0]))

    def _scale_coupler(self, node: Node, joints: list[tuple[Node, Array, Array]]) -> None:
        """A coupled translation scales with the body that carries its joint's parent frame."""
        name = text(node, "dependent_coordinate_name")
        for joint, parent, _ in joints:
            if not any((c.get("name") or "").strip() == name for c in joint.iter("Coordinate")):
                continue
            if not self._is_plain_translation(joint, name):
                return
            factor = float(parent[0])
            if not np.allclose(parent, factor, rtol=1e-12):
                axis = _coordinate_axis(joint, name)
                factor = float(np.linalg.norm(axis * parent))
                self.journal.assume(
                    f"the coupled translation {name} scales by {factor:.4f}, its axis's share of its body's unequal "
                    "factors (OpenSim's Scale tool refuses such a model)",
                    name,
                )
            multiply(node, "scale_factor", factor, default=(1.0,))


def _holder(node: Node) -> Node:
    """The component that an offset frame belongs to, from where its path is read."""
    path = text(node, "socket_parent") or text(node, "socket_parent_connectee_name") or ".."
    if path.endswith(".."):
        return node
    return next((a for a in node.iterancestors() if a.tag not in ("frames", "objects")), node)


def _joint_nodes(model: Node) -> list[Node]:
    nested = [j for body in objects(model.find("BodySet")) for j in children(body.find("Joint"))]
    return [*nested, *objects(model.find("JointSet"))]


def _point_frame(node: Node, frames: FrameFinder) -> Frame:
    body = text(node, "body")
    return frames.find(body, node) if body else frames.socket(node, "parent_frame")


def _scale_geometry(frame: Node, factors: Array) -> None:
    """Meshes and shapes drawn on a frame."""
    if (factors == 1.0).all():
        return
    for node in children(frame.find("attached_geometry")):
        multiply(node, "scale_factors", factors, default=(1.0, 1.0, 1.0))
    visible = frame.find("VisibleObject")
    if visible is not None:
        multiply(visible, "scale_factors", factors, default=(1.0, 1.0, 1.0))


def _scale_wrap(node: Node, factors: Array) -> None:
    """Wrap surfaces: sizes by how much the body's factors stretch the surface's own axes."""
    axes = euler_xyz(numbers(node, "xyz_body_rotation", 3, (0.0,) * 3))
    stretch = np.linalg.norm(axes * factors[:, None], axis=0)
    multiply(node, "translation", factors)
    if node.tag == "WrapSphere":
        multiply(node, "radius", float(factors.sum() / 3.0))
    elif node.tag == "WrapCylinder":
        multiply(node, "radius", float(stretch[:2].sum() * 0.5))
        multiply(node, "length", float(stretch[2]))
    elif node.tag == "WrapEllipsoid":
        multiply(node, "dimensions", stretch)
    elif node.tag == "WrapTorus":
        multiply(node, "inner_radius", float(stretch[:2].sum() * 0.5))
        multiply(node, "outer_radius", float(stretch[:2].sum() * 0.5))
    else:
        raise ModelError(f"{where(node)}: wrap surfaces of type {node.tag} can't be scaled")


def _scale_joint(node: Node, parent: Array, child: Array) -> None:
    at_parent, at_child = (child, parent) if boolean(node, "reverse", False) else (parent, child)
    multiply(node, "location_in_parent", at_parent)
    multiply(node, "location", at_child)
    if node.tag == "CustomJoint":
        transform = node.find("SpatialTransform")
        axes = children(transform, "TransformAxis") if transform is not None else objects(node.find("TransformAxisSet"))
        for axis in axes:
            if _is_translation(axis):
                _scale_axis(axis, parent)
    elif node.tag == "EllipsoidJoint":
        multiply(node, "radii_x_y_z", parent)
    elif node.tag == "ScapulothoracicJoint":
        multiply(node, "thoracic_ellipsoid_radii_x_y_z", parent)
        multiply(node, "scapula_winging_axis_origin", child[:2])


def _is_translation(axis: Node) -> bool:
    if axis.find("is_rotation") is not None:
        return not boolean(axis, "is_rotation", True)
    return (axis.get("name") or "").startswith("translation")


def _scale_axis(axis: Node, parent: Array) -> None:
    """The function of a translation axis; a plain coordinate (slope 1 through 0) is a motion, not a size."""
    function = _axis_function(axis)
    if function is not None and not _is_identity(function):
        multiply_function(function, float(np.abs(numbers(axis, "axis", 3)) @ parent))


def _axis_function(axis: Node) -> Node | None:
    holder = axis.find("function")
    inside = children(holder) if holder is not None else [c for c in children(axis) if c.tag in FUNCTION_TAGS]
    return inside[0] if inside else None


def _is_identity(function: Node | None) -> bool:
    if function is None or function.tag != "LinearFunction":
        return False
    return numbers(function, "coefficients", 2, (1.0, 0.0)).tolist() == [1.0, 0.0]


def _coordinates(axis: Node) -> list[str]:
    return (text(axis, "coordinates") or text(axis, "coordinate")).split()


def _coordinate_axis(joint: Node, name: str) -> Array:
    for axis in joint.iter("TransformAxis"):
        if _is_translation(axis) and name in _coordinates(axis):
            return numbers(axis, "axis", 3)
    return np.array([1.0, 0.0, 0.0])


def _scale_path_point(node: Node, factors: Array) -> None:
    if node.tag in POINT_TAGS | CONDITIONAL_TAGS:
        multiply(node, "location", factors)
    elif node.tag in MOVING_TAGS:
        multiply(node, "location", factors)  # versions before 4 keep the default pose's place beside the functions
        for letter, factor in zip("xyz", factors, strict=True):
            for function in children(node.find(f"{letter}_location"))[:1]:
                multiply_function(function, float(factor))
            for function in children(node.find(f"{letter.upper()}Attachment"))[:1]:
                multiply(function, "y", float(factor))
    else:
        raise ModelError(f"{where(node)}: path points of type {node.tag} can't be scaled")


def _check_paths(model: Node, journal: Journal) -> None:
    """Name the forces whose lengths can't follow their path."""
    rigid, functions = [], []
    for owner in objects(model.find("ForceSet")):
        name = (owner.get("name") or owner.tag).strip()
        if owner.tag == "RigidTendonMuscle":
            rigid.append(name)
        elif scaled_lengths(owner) and path_node(owner) is None:
            if owner.find(".//Scholz2015GeometryPath") is not None:
                raise ModelError(
                    f"{where(owner)}: its path is a Scholz2015GeometryPath, which motorque can't measure yet"
                )
            if owner.find(".//FunctionBasedPath") is not None:
                functions.append(name)
    if rigid:
        journal.warn(
            f"fibre and tendon lengths of {', '.join(rigid)} stay: OpenSim does not scale a RigidTendonMuscle", "scale"
        )
    if functions:
        journal.warn(
            f"the path functions of {', '.join(functions)} were fitted to the unscaled model and stay, and so do their "
            "fibre and tendon lengths (as in OpenSim); fit the functions again",
            "scale",
        )


def _scale_path_lengths(before: OsimModel, target: OsimModel, journal: Journal) -> None:
    """Fibre, tendon and ligament lengths by the ratio of path lengths in the default pose, after and before."""
    model = model_node(target.tree, target.path)
    _check_paths(model, journal)
    old = read_paths(before)
    if not old:
        return
    scaled = osim_from_tree(target.tree, target.path, journal=Journal())
    new = read_paths(scaled)
    lengths = [
        path_lengths(m.skeleton, [p.path for p in paths], m.skeleton.default_pose.detach().numpy())
        for m, paths in ((before, old), (scaled, new))
    ]
    if before.skeleton.point_constraints:
        journal.warn(
            "muscle lengths were scaled in the default pose without closing the model's point constraints", "scale"
        )
    for owned, first, then in zip(new, *lengths, strict=True):
        if first > 0:
            for tag in owned.lengths:
                value = float(numbers(owned.owner, tag, 1)[0]) * then / first
                set_numbers(owned.owner, tag, value)
