"""Paths of muscles, ligaments and springs in an OpenSim model file of any version, as `MusclePath`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import ModelError
from motorque.files.osim import FrameFinder, OsimModel
from motorque.files.osim_functions import read_child_function, read_function
from motorque.files.xml import Node, boolean, children, numbers, objects, text, where
from motorque.mechanics.muscle_path import Method, MusclePath, PathPoint, PathWrap, WrapSurface
from motorque.skeleton.builder import Frame, euler_xyz
from motorque.skeleton.functions import Function, Linear
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]
POINT_TAGS = {"PathPoint", "MusclePoint"}
CONDITIONAL_TAGS = {"ConditionalPathPoint", "MuscleViaPoint"}
MOVING_TAGS = {"MovingPathPoint", "MovingMusclePoint"}
SURFACE_TAGS = {"WrapCylinder": "cylinder", "WrapSphere": "sphere", "WrapEllipsoid": "ellipsoid", "WrapTorus": "torus"}
SIZES = {
    "cylinder": (("radius", 1.0), ("length", 1.0)),
    "sphere": (("radius", 0.05),),
    "torus": (("inner_radius", 0.01), ("outer_radius", 0.05)),
}
SCALED_BY_PATH = {  # what OpenSim 4.6 multiplies by the ratio of path lengths, by the element that owns the path
    "Ligament": ("resting_length",),
    "Blankevoort1991Ligament": ("slack_length",),
    "PathSpring": ("resting_length",),
    "ExpressionBasedPathForce": ("resting_length",),
}
MUSCLE_LENGTHS = ("optimal_fiber_length", "tendon_slack_length")


@dataclass(frozen=True, eq=False)
class OwnedPath:
    """A path and the element that owns it, with the lengths that follow the path when it is scaled.

    Args:
        owner: The muscle's, ligament's or spring's element.
        path: Its path.
        lengths: Tags of the owner's lengths that scale with the path.
    """

    owner: Node
    path: MusclePath
    lengths: tuple[str, ...]


def point_nodes(owner: Node) -> list[Node]:
    """The elements of a path's points, in order."""
    geometry = path_node(owner)
    return objects(geometry.find("PathPointSet") if geometry is not None else None) or objects(
        owner.find("MusclePointSet")
    )


def path_node(owner: Node) -> Node | None:
    """The ``GeometryPath`` of a muscle, ligament or spring, whichever property holds it; None if it has none."""
    found = owner.find("GeometryPath")
    if found is not None:
        return found
    holder = owner.find("path")
    return None if holder is None else holder.find("GeometryPath")


def read_paths(model: OsimModel) -> list[OwnedPath]:
    """All paths of a model whose owner has lengths that scale with them.

    Raises:
        ModelError: A path uses something that is not supported, or names a body, coordinate or surface that the model
            does not have.
        FileFormatError: A number in a path is missing or malformed.
    """
    reader = _PathReader(model)
    owned = []
    for owner in objects(model.model.find("ForceSet")):
        tags = scaled_lengths(owner)
        if not tags or not point_nodes(owner):
            continue
        owned.append(OwnedPath(owner, reader.path(owner), tags))
    return owned


def read_path(model: OsimModel, owner: Node) -> MusclePath:
    """The path of one muscle, ligament or spring of a model; raises as :func:`read_paths`."""
    return _PathReader(model).path(owner)


def scaled_lengths(owner: Node) -> tuple[str, ...]:
    """Tags of the lengths of a force that OpenSim 4.6 scales with its path (none for a ``RigidTendonMuscle``)."""
    tags = SCALED_BY_PATH.get(owner.tag, () if owner.tag == "RigidTendonMuscle" else MUSCLE_LENGTHS)
    return tuple(tag for tag in tags if owner.find(tag) is not None)


class _PathReader:
    def __init__(self, model: OsimModel) -> None:
        self._skeleton: Skeleton = model.skeleton
        self._frames = FrameFinder(model.model, list(model.skeleton.body_names))
        self._surfaces: dict[str, WrapSurface] = {}
        for holder in model.model.iter("WrapObjectSet"):
            for node in objects(holder):
                surface = self._surface(node, holder)
                self._surfaces.setdefault(surface.name, surface)

    def path(self, owner: Node) -> MusclePath:
        name = (owner.get("name") or owner.tag).strip()
        geometry = path_node(owner)
        wraps = objects(geometry.find("PathWrapSet") if geometry is not None else None) or objects(
            owner.find("MuscleWrapSet")
        )
        return MusclePath(
            name, tuple(self._point(n) for n in point_nodes(owner)), tuple(self._wrap(n, name) for n in wraps)
        )

    def _frame(self, node: Node) -> Frame:
        body = text(node, "body")
        if body:
            return self._frames.find(body, node)
        return self._frames.socket(node, "parent_frame")

    def _body(self, frame: Frame) -> int:
        return self._skeleton.body(frame.body)

    def _coordinate(self, node: Node, tag: str) -> int:
        name = text(node, f"socket_{tag}") or text(node, f"socket_{tag}_connectee_name") or text(node, tag)
        if not name:
            raise ModelError(f"{where(node)}: names no {tag.replace('_', ' ')}; add <socket_{tag}>")
        return self._skeleton.coordinate(name.rstrip("/").split("/")[-1])

    def _point(self, node: Node) -> PathPoint:
        frame = self._frame(node)
        body = self._body(frame)
        if node.tag in MOVING_TAGS:
            motions = (self._motion(node, "x"), self._motion(node, "y"), self._motion(node, "z"))
            x, y, z = (self._coordinate(node, f"{axis}_coordinate") for axis in "xyz")
            return PathPoint(
                body, frame.position, motion=motions, motion_coordinates=(x, y, z), rotation=frame.rotation
            )
        location = frame.position + frame.rotation @ numbers(node, "location", 3, (0.0,) * 3)
        if node.tag in CONDITIONAL_TAGS:
            low, high = numbers(node, "range", 2, (0.0, 0.0))
            return PathPoint(
                body, location, coordinate=self._coordinate(node, "coordinate"), range=(float(low), float(high))
            )
        if node.tag in POINT_TAGS:
            return PathPoint(body, location)
        raise ModelError(f"{where(node)}: path points of type {node.tag} are not supported")

    def _motion(self, node: Node, axis: str) -> Function:
        for tag in (f"{axis}_location", f"{axis.upper()}Attachment"):
            function = read_child_function(node, tag)
            if function is not None:
                return function
            holder = node.find(tag)
            inside = children(holder) if holder is not None else []
            if inside:
                return read_function(inside[0])
        return Linear(0.0, 0.0)

    def _wrap(self, node: Node, owner: str) -> PathWrap:
        name = text(node, "wrap_object")
        if name not in self._surfaces:
            raise ModelError(f"{where(node)}: {owner} wraps over {name!r}, which the model does not have")
        method = text(node, "method", "hybrid").lower()
        low, high = numbers(node, "range", 2, (-1.0, -1.0))
        kinds = {m.value: m for m in Method} | {"unassigned": Method.HYBRID}
        if method not in kinds:
            raise ModelError(f"{where(node)}: wrapping method {method!r} is not hybrid, midpoint or axial")
        return PathWrap(self._surfaces[name], kinds[method], int(low), int(high))

    def _surface(self, node: Node, holder: Node) -> WrapSurface:
        name = (node.get("name") or "").strip()
        kind = SURFACE_TAGS.get(node.tag, node.tag)
        frame = self._frames.find("..", holder)
        at = frame.then(
            numbers(node, "translation", 3, (0.0,) * 3), euler_xyz(numbers(node, "xyz_body_rotation", 3, (0.0,) * 3))
        )
        if kind == "ellipsoid":
            size = tuple(numbers(node, "dimensions", 3).tolist())
        else:
            size = tuple(float(numbers(node, tag, 1, (default,))[0]) for tag, default in SIZES.get(kind, ()))
        axis, sign = _quadrant(node)
        return WrapSurface(
            name, kind, self._body(frame), at.rotation, at.position, size, axis, sign, boolean(node, "active", True)
        )


def _quadrant(node: Node) -> tuple[int, int]:
    """Axis and sign of the half of a surface to which wrapping is restricted; sign 0 for none."""
    word = text(node, "quadrant", "all").lower()
    if word in ("all", "unassigned"):
        return 0, 0
    letter = word.lstrip("+-")
    if letter not in ("x", "y", "z"):
        raise ModelError(f"{where(node)}: quadrant {word!r} is none of x, y, z, -x, -y, -z and all")
    return "xyz".index(letter), -1 if word.startswith("-") else 1
