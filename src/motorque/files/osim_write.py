"""A `Skeleton` as an OpenSim model file, written from nothing: for the built-in skeleton and others made in motorque.

A user's own model is edited instead, so that everything motorque does not understand survives.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from lxml import etree
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import ModelError
from motorque.files.osim_joints import ELEMENT_NAMES
from motorque.files.osim_joints import SIMPLE as BUILT_IN_JOINTS
from motorque.files.output import write_bytes
from motorque.files.xml import Node
from motorque.series import Scales
from motorque.skeleton import fullbody_tables
from motorque.skeleton.functions import (
    Function,
    Linear,
    Piecewise,
    Polynomial,
    Sine,
    piecewise_linear,
    scaled,
    simm_spline,
)
from motorque.skeleton.skeleton import GROUND, Coordinate, Element, Joint, Skeleton

Array = NDArray[np.float64]
VERSION = "40500"
FULLBODY_CREDITS = (
    "Generic skeleton after Rajagopal et al. 2016 (IEEE Trans Biomed Eng 63:2068), Lai, Arnold and Wakeling 2017 "
    "(Ann Biomed Eng 45:2762) and Uhlrich et al. 2022 (Sci Rep 12:9842), as published with OpenCap (Apache-2.0); "
    "contact spheres after opencap-processing (Apache-2.0)."
)


def write_osim(
    path: str | Path, skeleton: Skeleton, *, credits: str = FULLBODY_CREDITS, scales: Scales | None = None
) -> None:
    """Write a skeleton as an OpenSim 4 document: bodies, joints, coordinates, couplers, markers, contact spheres.

    OpenSim places every body where motorque does. Contact spheres (and the floor under them) are geometry only: no
    force uses them, so an inverse dynamics run in OpenSim does not count the ground twice. Bodies of the built-in
    skeleton show the bones of OpenSim's own Geometry folder where that is installed.

    Args:
        path: The file to write; replaced only when the whole document stands.
        skeleton: The skeleton.
        credits: Who made the numbers; motorque's name and version are added.
        scales: How the bodies were scaled, for the size of the bones that are shown.

    Raises:
        ModelError: The skeleton has a joint or function that OpenSim's own joints can't express.
        OutputError: The file can't be written.
    """
    root = etree.Element("OpenSimDocument", Version=VERSION)
    model = etree.SubElement(root, "Model", name=skeleton.name)
    etree.SubElement(model, "Ground", name="ground")
    _text(model, "gravity", _numbers(_numpy(skeleton.gravity)))
    _text(model, "credits", f"{credits} Written by motorque {_version()}.")
    _text(model, "length_units", "meters")
    _text(model, "force_units", "N")
    bodies = _set(model, "BodySet", "bodyset")
    for index in range(len(skeleton.body_names)):
        _body(bodies, skeleton, index, scales)
    joints = _set(model, "JointSet", "jointset")
    for index in _joint_order(skeleton):
        _joint(joints, skeleton, index)
    _constraints(_set(model, "ConstraintSet", "constraintset"), skeleton)
    markers = _set(model, "MarkerSet", "markerset")
    for mark, position in zip(skeleton.markers, _numpy(skeleton.marker_position), strict=True):
        node = etree.SubElement(markers, "Marker", name=mark.name)
        _text(node, "socket_parent_frame", _path(skeleton, mark.body))
        _text(node, "location", _numbers(position))
        _text(node, "fixed", _boolean(mark.fixed))
    if skeleton.contact_spheres:
        _contact(_set(model, "ContactGeometrySet", "contactgeometryset"), skeleton)
    etree.indent(root, space="\t")
    write_bytes(path, etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _version() -> str:
    try:
        return metadata.version("motorque")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _set(model: Node, tag: str, name: str) -> Node:
    holder = etree.SubElement(model, tag, name=name)
    objects = etree.SubElement(holder, "objects")
    etree.SubElement(holder, "groups")
    return objects


def _text(parent: Node, tag: str, value: str) -> Node:
    node = etree.SubElement(parent, tag)
    node.text = value
    return node


def _numbers(values: object) -> str:
    # repr gives the shortest text that reads back to the same double.
    return " ".join(repr(float(v) + 0.0) for v in np.atleast_1d(np.asarray(values, dtype=float)))


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()


def _path(skeleton: Skeleton, body: int) -> str:
    return "/ground" if body == GROUND else f"/bodyset/{skeleton.body_names[body]}"


def _body(bodies: Node, skeleton: Skeleton, index: int, scales: Scales | None) -> None:
    name = skeleton.body_names[index]
    node = etree.SubElement(bodies, "Body", name=name)
    meshes, size = _meshes(skeleton, name)
    if meshes:
        attached = etree.SubElement(node, "attached_geometry")
        factors = size * (scales.of(name) if scales is not None else np.ones(3))
        for number, file in enumerate(meshes, start=1):
            mesh = etree.SubElement(attached, "Mesh", name=f"{name}_geom_{number}")
            _text(mesh, "socket_frame", "..")
            _text(mesh, "scale_factors", _numbers(factors))
            _text(mesh, "mesh_file", f"{file}.vtp")
    _text(node, "mass", _numbers(_numpy(skeleton.mass)[index]))
    _text(node, "mass_center", _numbers(_numpy(skeleton.mass_center)[index]))
    inertia = _numpy(skeleton.inertia)[index]
    _text(node, "inertia", _numbers([*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2]]))


def _meshes(skeleton: Skeleton, body: str) -> tuple[tuple[str, ...], float]:
    """Bones of a body in OpenSim's Geometry folder; only for the skeletons that those bones belong to."""
    if skeleton.name.split("_scaled")[0] != fullbody_tables.NAME:
        return (), 1.0
    files, size = fullbody_tables.MESHES.get(f"{body[:-2]}_r" if body.endswith("_l") else body, ((), 1.0))
    if body.endswith("_l"):  # r_femur and humerus_rv become l_femur and humerus_lv
        files = tuple("l" + f[1:] if f.startswith("r_") else f.replace("_rv", "_lv") for f in files)
    return files, size


def _joint_order(skeleton: Skeleton) -> list[int]:
    """Joints in the order of their coordinates, which is the order in which OpenSim will list those."""

    def first(index: int) -> tuple[float, int]:
        own = skeleton.joints[index].coordinates
        return (min(own), index) if own else (previous[index], index)

    previous: dict[int, float] = {}
    reached = -1.0
    for index, joint in enumerate(skeleton.joints):
        previous[index] = reached + 0.5
        reached = max([reached, *map(float, joint.coordinates)])
    return sorted(range(len(skeleton.joints)), key=first)


def _joint(joints: Node, skeleton: Skeleton, index: int) -> None:
    joint = skeleton.joints[index]
    elements = [
        e if number < 3 else _stretched(e, float(skeleton.translation_scale[index, number - 3]))
        for number, e in enumerate(joint.elements)
    ]
    plain = joint.kind in BUILT_IN_JOINTS and _is_plain(skeleton, index, elements)
    if not plain and (joint.ball is not None or joint.kind == "EllipsoidJoint"):
        raise ModelError(
            f"{skeleton.name}: joint {joint.name!r} ({joint.kind}) can't be written to a new model; edit the "
            "model that it came from instead"
        )
    node = etree.SubElement(joints, joint.kind if plain else "CustomJoint", name=joint.name)
    # The frame that the file calls parent sits on the tree's child where the joint is reversed.
    ends = [skeleton.parents[index], index]
    if joint.reversed:
        ends.reverse()
    labels = [f"{'ground' if b == GROUND else skeleton.body_names[b]}_offset" for b in ends]
    _text(node, "socket_parent_frame", labels[0])
    _text(node, "socket_child_frame", labels[1])
    if joint.coordinates:
        listed = etree.SubElement(node, "coordinates")
        for coordinate in joint.coordinates:
            _coordinate(listed, skeleton.coordinates[coordinate])
    frames = etree.SubElement(node, "frames")
    places = (
        (skeleton.parent_position[index], skeleton.parent_rotation[index]),
        (skeleton.child_position[index], skeleton.child_rotation[index]),
    )
    for label, body, (position, rotation) in zip(labels, ends, places, strict=True):
        frame = etree.SubElement(frames, "PhysicalOffsetFrame", name=label)
        _text(frame, "socket_parent", _path(skeleton, body))
        _text(frame, "translation", _numbers(_numpy(position)))
        _text(frame, "orientation", _numbers(Rotation.from_matrix(_numpy(rotation)).as_euler("XYZ")))
    if not plain:
        axes = np.vstack([_numpy(skeleton.rotation_axes[index]), _numpy(skeleton.translation_axes[index])])
        _spatial_transform(node, skeleton, joint, elements, axes)


def _stretched(element: Element, factor: float) -> Element:
    if element.factor is not None or factor == 1.0:
        return element
    return Element(scaled(element.function, factor), element.coordinate)


def _is_plain(skeleton: Skeleton, index: int, elements: list[Element]) -> bool:
    """Whether a joint is exactly what OpenSim's class of its kind does: unit axes, no scaling."""
    joint = skeleton.joints[index]
    driven = BUILT_IN_JOINTS[joint.kind]
    expected = [Element(Linear(0.0, 0.0))] * 6
    for coordinate, element in zip(joint.coordinates, driven, strict=True):
        expected[element] = Element(Linear(1.0, 0.0), coordinate)
    unit = np.eye(3)
    axes = (_numpy(skeleton.rotation_axes[index]), _numpy(skeleton.translation_axes[index]))
    return elements == expected and all(np.array_equal(a, unit) for a in axes)


def _coordinate(listed: Node, coordinate: Coordinate) -> None:
    node = etree.SubElement(listed, "Coordinate", name=coordinate.name)
    _text(node, "default_value", _numbers(coordinate.default))
    _text(node, "default_speed_value", "0")
    if np.isfinite(coordinate.range).all():
        _text(node, "range", _numbers(coordinate.range))
    _text(node, "clamped", _boolean(coordinate.clamped))
    _text(node, "locked", _boolean(coordinate.locked))


def _spatial_transform(node: Node, skeleton: Skeleton, joint: Joint, elements: list[Element], axes: Array) -> None:
    transform = etree.SubElement(node, "SpatialTransform")
    for label, element, axis in zip(ELEMENT_NAMES, elements, axes, strict=True):
        if element.factor is not None:
            raise ModelError(
                f"{skeleton.name}: joint {joint.name!r} has an axis that follows two coordinates, which a "
                "CustomJoint can't"
            )
        part = etree.SubElement(transform, "TransformAxis", name=label)
        driver = skeleton.coordinates[element.coordinate].name if element.coordinate >= 0 else ""
        _text(part, "coordinates", driver)
        _text(part, "axis", _numbers(axis))
        _function(part, element.function, f"{skeleton.name}: joint {joint.name!r}", driven=bool(driver)).set(
            "name", "function"
        )


def _function(parent: Node, function: Function, about: str, *, driven: bool = True) -> Node:
    """The function as OpenSim's element for it."""
    if isinstance(function, Linear):
        if not driven:
            node = etree.SubElement(parent, "Constant")
            _text(node, "value", _numbers(function.intercept))
            return node
        node = etree.SubElement(parent, "LinearFunction")
        _text(node, "coefficients", _numbers([function.slope, function.intercept]))
    elif isinstance(function, Polynomial):
        node = etree.SubElement(parent, "PolynomialFunction")
        _text(node, "coefficients", _numbers(function.coefficients))
    elif isinstance(function, Sine):
        node = etree.SubElement(parent, "Sine")
        for tag, value in zip(
            ("amplitude", "omega", "phase", "offset"),
            (function.amplitude, function.frequency, function.phase, function.offset),
            strict=True,
        ):
            _text(node, tag, _numbers(value))
    else:
        node = etree.SubElement(parent, _spline_kind(function, about))
        _text(node, "x", _numbers(function.x))
        _text(node, "y", _numbers(_knot_values(function)))
    return node


def _knot_values(function: Piecewise) -> list[float]:
    a, b, c, d = function.pieces[-1]
    step = function.x[-1] - function.x[-2]
    return [*(piece[3] for piece in function.pieces), ((a * step + b) * step + c) * step + d]


def _spline_kind(function: Piecewise, about: str) -> str:
    """Which of OpenSim's interpolations through the knots is this function."""
    values = _knot_values(function)
    size = max(1e-300, float(np.abs(np.array(function.pieces)).max()))
    for kind, through in (("PiecewiseLinearFunction", piecewise_linear), ("SimmSpline", simm_spline)):
        rebuilt = through(function.x, values)
        if isinstance(rebuilt, Piecewise) and np.allclose(
            rebuilt.pieces, function.pieces, rtol=1e-9, atol=1e-12 * size
        ):
            return kind
    raise ModelError(f"{about} follows a piecewise cubic that is none of OpenSim's splines; it can't be written")


def _constraints(constraints: Node, skeleton: Skeleton) -> None:
    for coupler in skeleton.couplers:
        node = etree.SubElement(constraints, "CoordinateCouplerConstraint", name=coupler.name)
        _text(node, "isEnforced", "true")
        holder = etree.SubElement(node, "coupled_coordinates_function")
        _function(holder, coupler.function, f"{skeleton.name}: coupler {coupler.name!r}")
        _text(node, "independent_coordinate_names", skeleton.coordinates[coupler.independent].name)
        _text(node, "dependent_coordinate_name", skeleton.coordinates[coupler.dependent].name)
        _text(node, "scale_factor", _numbers(coupler.scale))
    for point in skeleton.point_constraints:
        node = etree.SubElement(constraints, "PointConstraint", name=point.name)
        _text(node, "isEnforced", "true")
        for number, body, place in (("1", point.body_1, point.point_1), ("2", point.body_2, point.point_2)):
            _text(node, f"socket_body_{number}", _path(skeleton, body))
            _text(node, f"location_body_{number}", _numbers(place))


def _contact(geometry: Node, skeleton: Skeleton) -> None:
    floor = etree.SubElement(geometry, "ContactHalfSpace", name="floor")
    _text(floor, "socket_frame", "/ground")
    _text(floor, "location", "0 0 0")
    _text(floor, "orientation", _numbers([0.0, 0.0, -np.pi / 2]))  # a half space fills its own +x
    for sphere in skeleton.contact_spheres:
        node = etree.SubElement(geometry, "ContactSphere", name=sphere.name)
        _text(node, "socket_frame", _path(skeleton, sphere.body))
        _text(node, "location", _numbers(sphere.center))
        _text(node, "orientation", "0 0 0")
        _text(node, "radius", _numbers(sphere.radius))
