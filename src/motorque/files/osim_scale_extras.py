"""Body-fixed places that OpenSim 4.6 forgets when it scales a model: contact geometry and points of other parts.

A foot that grows by a tenth must take its contact spheres along, and two points of a constraint that met before must
meet after. OpenSim's Scale tool leaves them in place; motorque scales them and says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.files.osim import FrameFinder, OsimModel
from motorque.files.osim_edit import multiply
from motorque.files.xml import Node, objects, text
from motorque.journal import Journal
from motorque.series import Scales
from motorque.skeleton.builder import euler_xyz

Array = NDArray[np.float64]
RADII = ("radius", "torus_radius", "tube_radius")
# By type of component: which property is a point, and the sockets or names that say on which body.
POINTS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "PointConstraint": (("location_body_1", ("body_1",)), ("location_body_2", ("body_2",))),
    "ConstantDistanceConstraint": (("location_body_1", ("body_1",)), ("location_body_2", ("body_2",))),
    "PointOnLineConstraint": (("point_on_line", ("line_body",)), ("point_on_follower", ("follower_body",))),
    "PointToPointSpring": (("point1", ("body1",)), ("point2", ("body2",))),
    "ExpressionBasedPointToPointForce": (("point1", ("body1",)), ("point2", ("body2",))),
    "PointActuator": (("point", ("body",)),),
    "PointToPointActuator": (("pointA", ("bodyA",)), ("pointB", ("bodyB",))),
}


def scale_extras(target: OsimModel, scales: Scales, journal: Journal) -> None:
    """Scale contact geometry and body-fixed points of constraints, springs and point actuators in place."""
    frames = FrameFinder(target.model, list(target.skeleton.body_names))
    moved: list[str] = []
    for node in objects(target.model.find("ContactGeometrySet")):
        path = text(node, "socket_frame") or text(node, "socket_frame_connectee_name") or text(node, "body_name")
        if path and _scale_contact(node, scales.of(frames.find(path, node).body)):
            moved.append(node.get("name") or node.tag)
    for node in [*objects(target.model.find("ConstraintSet")), *objects(target.model.find("ForceSet"))]:
        changed = False
        for point, names in POINTS.get(node.tag, ()):
            body = next((b for b in (_body(node, name) for name in names) if b), "")
            factors = scales.of(frames.find(body, node).body) if body else np.ones(3)
            if (factors != 1.0).any() and text(node, point):
                multiply(node, point, factors)
                changed = True
        if changed:
            moved.append(node.get("name") or node.tag)
    if moved:
        journal.info(
            "contact geometry and points that OpenSim's Scale tool leaves in place were scaled with their bodies: "
            + ", ".join(moved),
            "scale",
        )


def _body(node: Node, name: str) -> str:
    return text(node, f"socket_{name}") or text(node, f"socket_{name}_connectee_name") or text(node, name)


def _scale_contact(node: Node, factors: Array) -> bool:
    """A contact shape: its place by the factors, its radii by their mean, an ellipsoid's along its axes."""
    if (factors == 1.0).all():
        return False
    multiply(node, "location", factors)
    for tag in RADII:
        multiply(node, tag, float(factors.mean()))
    if node.find("radii") is not None:
        orientation = text(node, "orientation").split()
        axes = euler_xyz([float(w) for w in orientation]) if len(orientation) == 3 else np.eye(3)
        multiply(node, "radii", np.linalg.norm(axes * factors[:, None], axis=0))
    return True
