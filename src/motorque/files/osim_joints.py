"""Joints of an OpenSim model, from XML of any version to `JointSpec`.

Every joint of OpenSim is three translations along axes of its parent frame followed by three body-fixed rotations
(Simbody's mobilizers); this module only says which axis follows which coordinate. Checked against the `opensim` wheel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motorque.errors import ModelError
from motorque.files.osim_functions import is_identity, read_child_function
from motorque.files.xml import Node, boolean, children, numbers, objects, text, where
from motorque.skeleton.builder import ZERO, Body, Frame, JointSpec, euler_xyz
from motorque.skeleton.functions import Linear, Sine
from motorque.skeleton.skeleton import Coordinate, Element

IDENTITY = Linear(1.0, 0.0)
ELEMENT_NAMES = ("rotation1", "rotation2", "rotation3", "translation1", "translation2", "translation3")

# Which of the six elements each coordinate of a simple joint drives, in OpenSim's order of coordinates.
SIMPLE: dict[str, tuple[int, ...]] = {
    "WeldJoint": (),
    "PinJoint": (2,),
    "SliderJoint": (3,),
    "UniversalJoint": (0, 1),
    "GimbalJoint": (0, 1, 2),
    "BallJoint": (0, 1, 2),
    "PlanarJoint": (2, 3, 4),
    "FreeJoint": (0, 1, 2, 3, 4, 5),
    "EllipsoidJoint": (0, 1, 2),
}


def read_joint(node: Node, parent: Frame, child: Frame) -> tuple[list[JointSpec], list[Body]]:
    """A joint element as one or more joints, with the massless bodies between them.

    Args:
        node: The joint's element (``CustomJoint``, ``PinJoint``…).
        parent: Its parent frame F, in the body that carries it.
        child: Its child frame M, likewise.

    Raises:
        ModelError: The joint's type, or something in it, is not supported.
    """
    kind, name = node.tag, node.get("name") or "joint"
    if kind in SIMPLE:
        return [_simple_joint(node, kind, name, parent, child)], []
    if kind == "CustomJoint":
        return [_custom_joint(node, name, parent, child)], []
    if kind == "ScapulothoracicJoint":
        return _scapulothoracic_joint(node, name, parent, child)
    raise ModelError(
        f"{where(node)}: joints of type {kind} are not supported; the supported ones are CustomJoint, "
        f"ScapulothoracicJoint, {', '.join(SIMPLE)}"
    )


def _coordinate_nodes(node: Node) -> list[Node]:
    listed = children(node.find("coordinates"), "Coordinate")
    return listed or [c for c in objects(node.find("CoordinateSet")) if c.tag == "Coordinate"]


def _coordinate(node: Node, rotational: bool) -> Coordinate:
    low, high = numbers(node, "range", 2, (-np.inf, np.inf))
    return Coordinate(
        name=(node.get("name") or "").strip(),
        rotational=rotational,
        default=float(numbers(node, "default_value", 1, (0.0,))[0]),
        range=(float(low), float(high)),
        clamped=boolean(node, "clamped", False),
        locked=boolean(node, "locked", False),
    )


def _simple_joint(node: Node, kind: str, name: str, parent: Frame, child: Frame) -> JointSpec:
    driven = SIMPLE[kind]
    nodes = _coordinate_nodes(node)
    if len(nodes) > len(driven):
        raise ModelError(f"{where(node)}: a {kind} has {len(driven)} coordinates, found {len(nodes)}")
    coordinates = [_coordinate(n, axis < 3) for n, axis in zip(nodes, driven, strict=False)]
    coordinates += [Coordinate(f"{name}_coord_{i}", axis < 3) for i, axis in enumerate(driven) if i >= len(nodes)]
    elements = [ZERO] * 6
    for index, axis in enumerate(driven):
        elements[axis] = Element(IDENTITY, index)
    if kind == "EllipsoidJoint":
        elements[3:] = _ellipsoid_surface(numbers(node, "radii_x_y_z", 3))
    ball = kind in ("BallJoint", "FreeJoint", "EllipsoidJoint")
    return JointSpec(name, kind, parent, child, tuple(coordinates), tuple(elements), ball=ball)


def _ellipsoid_surface(radii: np.ndarray) -> list[Element]:
    """Translations that keep M's origin on an ellipsoid where M's z axis is its normal, for x-y-z rotations.

    The z axis of R = Rx(q0) Ry(q1) Rz(q2) is (sin q1, -sin q0 cos q1, cos q0 cos q1); Simbody's ellipsoid mobilizer
    puts the origin at that vector times the radii.
    """
    a, b, c = (float(r) for r in radii)
    cosine = Sine(1.0, 1.0, np.pi / 2)
    return [
        Element(Sine(a), 1),
        Element(Sine(-b), 0, cosine, 1),
        Element(Sine(c, 1.0, np.pi / 2), 0, cosine, 1),
    ]


def _custom_joint(node: Node, name: str, parent: Frame, child: Frame) -> JointSpec:
    nodes = _coordinate_nodes(node)
    names = [(n.get("name") or "").strip() for n in nodes]
    axis_nodes = _transform_axes(node)
    elements, axes = [ZERO] * 6, np.vstack([np.eye(3), np.eye(3)])
    order: list[str] = []
    for axis, axis_node in axis_nodes.items():
        axes[axis] = numbers(axis_node, "axis", 3, tuple(np.eye(3)[axis % 3]))
        driver = (text(axis_node, "coordinates") or text(axis_node, "coordinate")).split()
        function = read_child_function(axis_node)
        if len(driver) > 1:
            raise ModelError(f"{where(axis_node)}: an axis driven by {len(driver)} coordinates is not supported")
        if driver and driver[0] not in names:
            raise ModelError(f"{where(axis_node)}: joint {name!r} has no coordinate {driver[0]!r}")
        if driver and driver[0] not in order:
            order.append(driver[0])
        if function is None:
            function = IDENTITY if driver else Linear(0.0, 0.0)
        elements[axis] = Element(function, names.index(driver[0]) if driver else -1)
    if dangling := [n for n in names if n not in order]:
        raise ModelError(f"{where(node)}: no axis of joint {name!r} follows the coordinate {dangling[0]!r}")
    coordinates = tuple(_coordinate(n, _is_rotational(i, elements)) for i, n in enumerate(nodes))
    return JointSpec(name, "CustomJoint", parent, child, coordinates, tuple(elements), axes[:3], axes[3:])


def _is_rotational(coordinate: int, elements: list[Element]) -> bool:
    """Whether OpenSim calls a coordinate of a custom joint rotational: it is itself the angle of some rotation.

    Others are translational, or 'coupled' (a mix), which OpenSim neither converts from degrees nor calls a moment.
    """
    return any(e.coordinate == coordinate and is_identity(e.function) for e in elements[:3])


def _transform_axes(node: Node) -> dict[int, Node]:
    """Element number (three rotations, three translations) to its TransformAxis."""
    spatial = node.find("SpatialTransform")
    if spatial is not None:
        found = children(spatial, "TransformAxis") or [a for a in objects(spatial) if a.tag == "TransformAxis"]
        named = {a.get("name"): a for a in found}
        if set(named) <= set(ELEMENT_NAMES):
            return {ELEMENT_NAMES.index(str(n)): a for n, a in named.items()}
        return dict(enumerate(found))
    old = objects(node.find("TransformAxisSet"))  # before version 10901: any order, each says whether it rotates
    rotations = [a for a in old if boolean(a, "is_rotation", False)]
    translations = [a for a in old if not boolean(a, "is_rotation", False)]
    if len(rotations) > 3 or len(translations) > 3:
        raise ModelError(f"{where(node)}: more than three rotations or three translations in one joint")
    return {**dict(enumerate(rotations)), **{3 + i: a for i, a in enumerate(translations)}}


def _scapulothoracic_joint(node: Node, name: str, parent: Frame, child: Frame) -> tuple[list[JointSpec], list[Body]]:
    """The scapula gliding on an ellipsoid and winging about an axis in its plane, as two joints.

    Source: Seth, Matias, Veloso, Delp 2016 (PLoS ONE 11: e0141028); frames as OpenSim 4.6 sets them up.
    """
    radii = numbers(node, "thoracic_ellipsoid_radii_x_y_z", 3)
    origin = numbers(node, "scapula_winging_axis_origin", 2, (0.0, 0.0))
    direction = float(numbers(node, "scapula_winging_axis_direction", 1, (0.0,))[0])
    nodes = _coordinate_nodes(node)
    if len(nodes) != 4:
        raise ModelError(f"{where(node)}: a ScapulothoracicJoint has 4 coordinates, found {len(nodes)}")
    coordinates = [_coordinate(n, True) for n in nodes]
    quarter = euler_xyz([0, 0, np.pi / 2])
    middle = f"{name}_intermediate"
    surface = JointSpec(
        f"{name}_surface",
        "EllipsoidJoint",
        parent.then(np.zeros(3), quarter),
        Frame(middle, rotation=quarter),
        tuple(coordinates[:3]),
        (*(Element(IDENTITY, i) for i in range(3)), *_ellipsoid_surface(radii[[1, 0, 2]])),
        ball=True,
    )
    axis = np.array([-np.sin(direction), np.cos(direction), 0.0])
    hinge = np.array([origin[0], origin[1], 0.0])
    winging = JointSpec(
        name,
        "PinJoint",
        Frame(middle, hinge),
        child.then(hinge, np.eye(3)),
        (replace(coordinates[3]),),
        (Element(IDENTITY, 0), *(ZERO,) * 5),
        rotation_axes=np.array([axis, np.cross([0.0, 0.0, 1.0], axis), [0.0, 0.0, 1.0]]),
    )
    return [surface, winging], [Body(middle, 0.0, np.zeros(3), np.zeros((3, 3)))]
